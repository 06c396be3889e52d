// The picture of the run: a bar for each step, over time, in lanes. Zoom by a drag, keys or buttons; a click leads on.
"use strict";

const one = (selector, root = document) => root.querySelector(selector);
const OUTCOMES = ["ok", "error", "cancelled", "other", "open"];
const OPEN = 4, ERROR = 1;
const [NAME, OUTCOME, DEPTH, AT, MS, ROW] = [0, 1, 2, 3, 4, 5]; // of a row of the data

// A duration as the rest of the page spells it.
function duration(ms) {
  if (ms < 999.5) return `${ms.toFixed(ms < 0.1 ? 3 : ms < 9.95 ? 1 : 0)} ms`;
  if (ms < 59950) return `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
  const s = Math.round(ms / 1000);
  for (const [size, unit, small, part] of [[86400, "d", 3600, "h"], [3600, "h", 60, "m"], [60, "m", 1, "s"]])
    if (s >= size) return `${Math.floor(s / size)} ${unit}` + (Math.floor((s % size) / small) ? ` ${Math.floor((s % size) / small)} ${part}` : "");
}

// On *canvas*; *page* answers its data, the list's items, which is current, and opens one.
function timeline(canvas, page) {
  const tip = one("#tip"), pen = canvas.getContext("2d");
  const AXIS = 18, LABEL = 15;
  let view = null; // {from, to} in ms, null for all
  let tops = [], height = 0, step = 14, drag = null, drawing = 0;

  let end = 1; // ms from the start of the run to the end of the last bar, and a little air
  const shown = () => view || { from: 0, to: end };

  function arrange() {
    end = 1.005 * page.data.rows.reduce((most, row) => Math.max(most, row[AT] + row[MS]), 1e-3);
    const rows = page.data.lanes.reduce((sum, lane) => sum + lane[1], 0);
    const labels = page.data.lanes.length > 1 || page.data.lanes.some((lane) => lane[0] !== "main") ? LABEL : 3;
    step = Math.max(4, Math.min(18, Math.floor((230 - labels * page.data.lanes.length) / Math.max(rows, 1))));
    tops = [];
    height = AXIS;
    for (const [, count] of page.data.lanes) {
      height += labels;
      for (let i = 0; i < count; i++, height += step) tops.push(height);
    }
    height += 5;
    canvas.style.height = `${height}px`;
    draw();
  }

  function draw() {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(paint);
  }

  function paint() {
    const scale = devicePixelRatio || 1, width = canvas.clientWidth;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`);
    const colors = [color("ok"), color("bad"), color("warn"), color("other"), color("warn")];
    const { from, to } = shown(), perMs = width / (to - from);
    pen.font = "11px system-ui, sans-serif";
    axis(from, to, perMs, width, color);
    const bars = [];
    page.data.rows.forEach((row, at) => {
      if (row[AT] + row[MS] >= from && row[AT] <= to) bars.push(at);
    });
    bars.sort((a, b) => weight(a) - weight(b)); // what went wrong is drawn over the rest
    for (const at of bars) {
      const row = page.data.rows[at], hidden = page.items[at] && page.items[at].hidden;
      const left = Math.max((row[AT] - from) * perMs, -2);
      const wide = Math.max(Math.min((row[AT] + row[MS] - from) * perMs, width + 2) - left - 0.5, row[OUTCOME] === ERROR ? 3 : 1.2);
      pen.globalAlpha = hidden ? 0.2 : row[OUTCOME] === OPEN ? 0.45 : 1;
      pen.fillStyle = colors[row[OUTCOME]];
      pen.fillRect(left, tops[row[ROW]], wide, step - 1.5);
      pen.globalAlpha = hidden ? 0.2 : 1;
      if (row[OUTCOME] === OPEN) ragged(left, tops[row[ROW]], wide, colors[OPEN]);
      if (at === page.current) outline(left, tops[row[ROW]], wide, color("ink"));
      if (step >= 13 && wide > 36) label(page.data.names[row[NAME]], left, tops[row[ROW]], wide, color(row[OUTCOME] === OPEN ? "ink" : "paper"));
    }
    pen.globalAlpha = 1;
    if (tops.length && page.data.lanes.length * LABEL < height) lanes(color("dim"));
    if (drag && drag.moved) {
      pen.fillStyle = color("link");
      pen.globalAlpha = 0.2;
      pen.fillRect(Math.min(drag.x, drag.to), 0, Math.abs(drag.to - drag.x), height);
      pen.globalAlpha = 1;
    }
    one("#span").textContent = view ? `${duration(from)} to ${duration(to)}` : "";
  }

  const weight = (at) => (at === page.current ? 3 : page.data.rows[at][OUTCOME] === ERROR ? 2 : page.data.rows[at][OUTCOME] === OPEN ? 1 : 0);

  function axis(from, to, perMs, width, color) {
    const rough = (to - from) / Math.max(2, width / 110);
    const power = 10 ** Math.floor(Math.log10(rough));
    let gap = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    if (rough > 20000) gap = [30e3, 60e3, 120e3, 300e3, 600e3, 1800e3, 3600e3, 7200e3, 21600e3, 43200e3].find((n) => n >= rough) || Math.ceil(rough / 86400e3) * 86400e3;
    pen.fillStyle = color("dim");
    pen.strokeStyle = color("line");
    for (let n = Math.ceil(from / gap); n * gap <= to; n++) {
      const x = Math.round((n * gap - from) * perMs) + 0.5;
      pen.beginPath();
      pen.moveTo(x, 0);
      pen.lineTo(x, height);
      pen.stroke();
      if (x < width - 40) pen.fillText(n ? duration(n * gap) : "0", x + 3, 12);
    }
  }

  function lanes(ink) {
    if (page.data.lanes.length < 2 && page.data.lanes.every((lane) => lane[0] === "main")) return;
    let row = 0;
    pen.fillStyle = ink;
    for (const [name, count] of page.data.lanes) {
      pen.fillText(name, 4, tops[row] - 4);
      row += count;
    }
  }

  function ragged(left, top, wide, color) { // a step without an end: its right edge is torn
    pen.strokeStyle = color;
    pen.setLineDash([3, 2]);
    pen.strokeRect(left + 0.5, top + 0.5, Math.max(wide - 1, 1), step - 2.5);
    pen.setLineDash([]);
  }

  function outline(left, top, wide, color) {
    pen.strokeStyle = color;
    pen.lineWidth = 2;
    pen.strokeRect(left - 1, top - 1, wide + 2, step + 0.5);
    pen.lineWidth = 1;
  }

  function label(text, left, top, wide, color) {
    const from = Math.max(left, 0) + 4, room = left + wide - from - 3;
    if (room < 24) return;
    pen.fillStyle = color;
    const letters = Math.floor(room / 6.2);
    const fits = text.length <= letters ? text : letters > 3 ? text.slice(0, letters - 1) + "…" : "";
    pen.save();
    pen.beginPath();
    pen.rect(from, top, room, step);
    pen.clip();
    pen.fillText(fits, from, top + Math.min(step - 4, 12));
    pen.restore();
  }

  function barAt(x, y) { // the nearest bar of the row under the pointer, at most 4 px away
    const { from, to } = shown(), perMs = canvas.clientWidth / (to - from);
    let best = -1, nearest = 4;
    page.data.rows.forEach((row, at) => {
      const top = tops[row[ROW]];
      if (y < top || y > top + step || (page.items[at] && page.items[at].hidden)) return;
      const left = (row[AT] - from) * perMs, right = left + row[MS] * perMs;
      const away = x < left ? left - x : x > right ? x - right : 0;
      if (away < nearest || (away === nearest && best >= 0 && row[MS] < page.data.rows[best][MS])) [best, nearest] = [at, away];
    });
    return best;
  }

  function zoom(factor, center) {
    const { from, to } = shown(), middle = center === undefined ? (from + to) / 2 : center;
    look(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  function look(from, to) {
    const wide = Math.max(to - from, end * 1e-7, 1e-4);
    from = Math.min(Math.max(from, 0), Math.max(end - wide, 0));
    view = wide >= end ? null : { from, to: from + wide };
    draw();
  }

  const msAt = (x) => shown().from + (x / canvas.clientWidth) * (shown().to - shown().from);

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    drag = { x: event.offsetX, to: event.offsetX, moved: false };
    if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag && event.buttons) {
      drag.to = event.offsetX;
      drag.moved = drag.moved || Math.abs(drag.to - drag.x) > 5;
      draw();
    }
    hover(event);
  });
  canvas.addEventListener("pointerup", (event) => {
    const done = drag;
    drag = null;
    if (done && done.moved) look(...[msAt(done.x), msAt(done.to)].sort((a, b) => a - b));
    else if (done) {
      const at = barAt(event.offsetX, event.offsetY);
      if (at >= 0) page.open(at);
    }
  });
  canvas.addEventListener("pointercancel", () => (drag = null));
  canvas.addEventListener("pointerleave", () => (tip.hidden = true));
  canvas.addEventListener("dblclick", () => ((view = null), draw()));
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) zoom(event.deltaY > 0 ? 1.25 : 0.8, msAt(event.offsetX));
    else if (view && Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(event.deltaX / canvas.clientWidth);
    else return;
    event.preventDefault();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const acts = { "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => ((view = null), draw()), ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2) };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  });
  one(".tools").addEventListener("click", (event) => {
    const act = { "zoom in": () => zoom(0.5), "zoom out": () => zoom(2), "show all": () => ((view = null), draw()) }[event.target.dataset.zoom];
    if (act) act();
  });

  function pan(part) {
    if (view) look(view.from + part * (view.to - view.from), view.to + part * (view.to - view.from));
  }

  function hover(event) {
    const at = drag && drag.moved ? -1 : barAt(event.offsetX, event.offsetY);
    tip.hidden = at < 0;
    canvas.style.cursor = at < 0 ? "" : "pointer";
    if (at < 0) return;
    const row = page.data.rows[at], outcome = row[OUTCOME] === OPEN ? "not ended" : OUTCOMES[row[OUTCOME]];
    tip.textContent = `${page.data.names[row[NAME]]}\n${outcome} · ${duration(row[MS])} · from ${duration(row[AT])}`;
    const brief = page.items[at] && one(".brief", page.items[at]).textContent;
    if (brief) tip.textContent += `\n${brief}`;
    tip.style.left = `${Math.max(0, Math.min(event.offsetX + 12, canvas.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${canvas.offsetTop + event.offsetY + 16}px`;
  }

  one("#timeline").hidden = !page.data.rows.length;
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return { arrange, draw };
}
