// What the page can do beyond being read: the picture of the run, search, filters, folding, keys, a live view.
// Nothing recorded is ever made into HTML or code here: it is moved as text, or as elements the server escaped.
"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const OUTCOMES = ["ok", "error", "cancelled", "other", "open"];
  const OPEN = 4, ERROR = 1;
  const [NAME, OUTCOME, DEPTH, AT, MS, ROW] = [0, 1, 2, 3, 4, 5]; // of a row of the data
  let data = JSON.parse(one("#data").textContent);
  let items = []; // the list's <li>, one for each row
  let parts = []; // the <ol> that they stand in, a hundred in each
  let texts = []; // what search looks in, made when first needed
  let current = -1; // the row that the keys are at

  // A duration as the rest of the page spells it.
  function duration(ms) {
    if (ms < 999.5) return `${ms.toFixed(ms < 0.1 ? 3 : ms < 9.95 ? 1 : 0)} ms`;
    if (ms < 59950) return `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
    const s = Math.round(ms / 1000);
    for (const [size, unit, small, part] of [[86400, "d", 3600, "h"], [3600, "h", 60, "m"], [60, "m", 1, "s"]])
      if (s >= size) return `${Math.floor(s / size)} ${unit}` + (Math.floor((s % size) / small) ? ` ${Math.floor((s % size) / small)} ${part}` : "");
  }

  // ---- The picture of the run

  const canvas = one("canvas"), tip = one("#tip"), pen = canvas.getContext("2d");
  const AXIS = 18, LABEL = 15;
  let view = null; // {from, to} in ms, null for all
  let tops = [], height = 0, step = 14, drag = null, drawing = 0;

  let end = 1; // ms from the start of the run to the end of the last bar, and a little air
  const shown = () => view || { from: 0, to: end };

  function arrange() {
    end = 1.005 * data.rows.reduce((most, row) => Math.max(most, row[AT] + row[MS]), 1e-3);
    const rows = data.lanes.reduce((sum, lane) => sum + lane[1], 0);
    const labels = data.lanes.length > 1 || data.lanes.some((lane) => lane[0] !== "main") ? LABEL : 3;
    step = Math.max(4, Math.min(18, Math.floor((230 - labels * data.lanes.length) / Math.max(rows, 1))));
    tops = [];
    height = AXIS;
    for (const [, count] of data.lanes) {
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
    data.rows.forEach((row, at) => {
      if (row[AT] + row[MS] >= from && row[AT] <= to) bars.push(at);
    });
    bars.sort((a, b) => weight(a) - weight(b)); // what went wrong is drawn over the rest
    for (const at of bars) {
      const row = data.rows[at], hidden = items[at] && items[at].hidden;
      const left = Math.max((row[AT] - from) * perMs, -2);
      const wide = Math.max(Math.min((row[AT] + row[MS] - from) * perMs, width + 2) - left - 0.5, row[OUTCOME] === ERROR ? 3 : 1.2);
      pen.globalAlpha = hidden ? 0.2 : row[OUTCOME] === OPEN ? 0.45 : 1;
      pen.fillStyle = colors[row[OUTCOME]];
      pen.fillRect(left, tops[row[ROW]], wide, step - 1.5);
      pen.globalAlpha = hidden ? 0.2 : 1;
      if (row[OUTCOME] === OPEN) ragged(left, tops[row[ROW]], wide, colors[OPEN]);
      if (at === current) outline(left, tops[row[ROW]], wide, color("ink"));
      if (step >= 13 && wide > 36) label(data.names[row[NAME]], left, tops[row[ROW]], wide, color(row[OUTCOME] === OPEN ? "ink" : "paper"));
    }
    pen.globalAlpha = 1;
    if (tops.length && data.lanes.length * LABEL < height) lanes(color("dim"));
    if (drag && drag.moved) {
      pen.fillStyle = color("link");
      pen.globalAlpha = 0.2;
      pen.fillRect(Math.min(drag.x, drag.to), 0, Math.abs(drag.to - drag.x), height);
      pen.globalAlpha = 1;
    }
    one("#span").textContent = view ? `${duration(from)} to ${duration(to)}` : "";
  }

  const weight = (at) => (at === current ? 3 : data.rows[at][OUTCOME] === ERROR ? 2 : data.rows[at][OUTCOME] === OPEN ? 1 : 0);

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
    if (data.lanes.length < 2 && data.lanes.every((lane) => lane[0] === "main")) return;
    let row = 0;
    pen.fillStyle = ink;
    for (const [name, count] of data.lanes) {
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
    data.rows.forEach((row, at) => {
      const top = tops[row[ROW]];
      if (y < top || y > top + step || (items[at] && items[at].hidden)) return;
      const left = (row[AT] - from) * perMs, right = left + row[MS] * perMs;
      const away = x < left ? left - x : x > right ? x - right : 0;
      if (away < nearest || (away === nearest && best >= 0 && row[MS] < data.rows[best][MS])) [best, nearest] = [at, away];
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
      if (at >= 0) location.hash === `#${items[at].id}` ? reveal(at) : (location.hash = items[at].id);
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
    const row = data.rows[at], outcome = row[OUTCOME] === OPEN ? "not ended" : OUTCOMES[row[OUTCOME]];
    tip.textContent = `${data.names[row[NAME]]}\n${outcome} · ${duration(row[MS])} · from ${duration(row[AT])}`;
    const brief = items[at] && one(".brief", items[at]).textContent;
    if (brief) tip.textContent += `\n${brief}`;
    tip.style.left = `${Math.max(0, Math.min(event.offsetX + 12, canvas.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${canvas.offsetTop + event.offsetY + 16}px`;
  }

  // ---- The list: search, filters, folding

  const folded = new Set(); // elements whose inside is folded away
  const textOf = (at) => (texts[at] ??= items[at].textContent.toLowerCase());

  function apply() {
    const words = one("#search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const name = one("#name").value, outcomes = new Set();
    for (const box of document.querySelectorAll(".chip input")) if (box.checked) outcomes.add(Number(box.value));
    for (const [at, word] of OUTCOMES.entries()) if (!one(`.chip.${word}`)) outcomes.add(at);
    const idle = !words.length && name === "" && outcomes.size === OUTCOMES.length;
    const fits = (at) => outcomes.has(data.rows[at][OUTCOME]) && (name === "" || data.rows[at][NAME] === Number(name)) && words.every((word) => textOf(at).includes(word));
    let count = 0, around = 0; // from below: the step around a shown one is the next with a smaller depth
    const states = new Array(items.length);
    for (let at = items.length - 1; at >= 0; at--) {
      const depth = data.rows[at][DEPTH];
      if (idle || fits(at)) (states[at] = 2), count++;
      else if (depth < around) states[at] = 1;
      else states[at] = 0;
      if (states[at]) around = depth;
    }
    let above = Infinity; // depth of the folded step that hides those after it
    for (let at = 0; at < items.length; at++) {
      const depth = data.rows[at][DEPTH], item = items[at];
      if (depth <= above) above = Infinity;
      const hide = !states[at] || depth > above;
      if (item.hidden !== hide) item.hidden = hide;
      item.classList.toggle("around", states[at] === 1);
      if (above === Infinity && idle && folded.has(item)) above = depth; // a search looks into folded steps, too
    }
    for (const part of parts) {
      const rows = [...part.children].reduce((sum, item) => sum + !item.hidden, 0);
      part.style.setProperty("--rows", rows);
      part.hidden = !rows;
    }
    one("#steps").classList.toggle("sieved", !idle || folded.size > 0);
    const total = one("#count").dataset.total;
    one("#count").textContent = idle ? total : `${count.toLocaleString("en")} of ${total}`;
    one("#none").hidden = count > 0;
    draw();
  }

  function foldButtons() {
    items.forEach((item, at) => {
      const inside = at + 1 < items.length && data.rows[at + 1][DEPTH] > data.rows[at][DEPTH];
      if (!inside || one(".fold", item)) return;
      const button = document.createElement("button");
      button.className = "fold";
      button.type = "button";
      button.tabIndex = -1;
      button.setAttribute("aria-label", "steps inside");
      button.setAttribute("aria-expanded", "true");
      item.prepend(button);
    });
  }

  function fold(at, close) {
    const item = items[at], button = item && one(".fold", item);
    if (!button) return;
    if (close) folded.add(item);
    else folded.delete(item);
    button.setAttribute("aria-expanded", String(!close));
  }

  function foldAll() {
    const close = !folded.size;
    items.forEach((item, at) => (data.rows[at][DEPTH] === 0 || !close) && fold(at, close));
    apply();
  }

  // ---- One step: where the keys are, and what an address names

  function go(at, { focus = true, scroll = true } = {}) {
    if (items[current]) items[current].classList.remove("at");
    current = at;
    if (!items[at]) return;
    items[at].classList.add("at");
    if (focus) one("summary", items[at]).focus({ preventScroll: true });
    if (scroll) items[at].scrollIntoView({ block: "nearest" });
    draw();
  }

  function move(by, fits = () => true) {
    let at = current < 0 && by < 0 ? items.length : current;
    do at += by;
    while (items[at] && (items[at].hidden || !fits(at)));
    if (items[at]) go(at);
  }

  function reveal(at) {
    for (let up = at, depth = data.rows[at][DEPTH]; up >= 0 && depth >= 0; up--)
      if (up === at || data.rows[up][DEPTH] < depth) (depth = data.rows[up][DEPTH]), up !== at && fold(up, false);
    apply();
    if (items[at].hidden) {
      one("#tools").reset();
      apply();
    }
    one("details", items[at]).open = true;
    go(at);
    items[at].scrollIntoView({ block: "start" });
  }

  function follow() {
    const at = items.findIndex((item) => `#${item.id}` === decodeURIComponent(location.hash));
    if (at >= 0) reveal(at);
  }

  // ---- Keys

  const KEYS = {
    j: ["next step", () => move(1)],
    k: ["step before", () => move(-1)],
    enter: ["open or close the step", () => items[current] && (one("details", items[current]).open ^= true)],
    l: ["unfold what lies inside", () => (fold(current, false), apply())],
    h: ["fold it away", () => (fold(current, true), apply())],
    e: ["next failed step", () => move(1, (at) => data.rows[at][OUTCOME] === ERROR)],
    E: ["failed step before", () => move(-1, (at) => data.rows[at][OUTCOME] === ERROR)],
    g: ["first step", () => ((current = -1), move(1))],
    G: ["last step", () => ((current = items.length), move(-1))],
    "/": ["search", () => one("#search").focus()],
    "?": ["this help", help],
  };

  function help() {
    let box = one("dialog");
    if (!box) {
      box = document.body.appendChild(document.createElement("dialog"));
      box.setAttribute("aria-label", "Keys");
      const list = document.createElement("dl");
      for (const [key, [text]] of [...Object.entries(KEYS), ["esc", ["leave the search, and clear it"]]]) {
        const name = document.createElement("kbd");
        name.textContent = key;
        list.appendChild(document.createElement("dt")).appendChild(name);
        list.appendChild(document.createElement("dd")).textContent = text;
      }
      const more = document.createElement("p");
      more.textContent = "Timeline: drag to zoom, double click for all, click a bar to see its step.";
      const close = document.createElement("button");
      close.textContent = "close";
      close.addEventListener("click", () => box.close());
      box.append(list, more, close);
    }
    if (box.open) box.close();
    else box.showModal();
  }

  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input, select, textarea, dialog");
    if (event.key === "Escape" && event.target.id === "search") {
      event.target.value = "";
      event.target.blur();
      apply();
    } else if (event.key === "Enter" && event.target.id === "search") {
      event.preventDefault();
      current = -1;
      event.target.blur();
      move(1, (at) => !items[at].classList.contains("around"));
    }
    if (field || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key === "Enter" ? "enter" : event.key;
    if (key === "enter" && event.target.closest("summary, a, button, canvas")) return; // these know it themselves
    if (!Object.hasOwn(KEYS, key)) return;
    event.preventDefault();
    KEYS[key][1]();
  });

  // ---- Live: the server says that something happened, the page takes the new parts of itself

  let pause = 500, waiting = 0;

  function watch(address) {
    const events = new EventSource(address);
    events.addEventListener("changed", () => (waiting ||= setTimeout(refresh, pause)));
    events.addEventListener("over", () => (events.close(), (waiting ||= setTimeout(refresh, pause))));
  }

  async function refresh() {
    const began = performance.now();
    const answer = await fetch(location.pathname).catch(() => null);
    waiting = 0;
    if (!answer || !answer.ok) return;
    merge(new DOMParser().parseFromString(await answer.text(), "text/html"));
    pause = Math.max(500, 4 * (performance.now() - began)); // a long page must not keep the machine busy
  }

  function merge(fresh) {
    const opened = new Set([...document.querySelectorAll("#findings details[open] > summary")].map((s) => s.textContent));
    for (const id of ["head", "findings"]) one(`#${id}`).replaceWith(document.adoptNode(one(`#${id}`, fresh)));
    for (const summary of document.querySelectorAll("#findings details > summary")) if (opened.has(summary.textContent)) summary.parentNode.open = true;
    const names = one("#name").selectedOptions[0].textContent.replace(/ \([\d,]+\)$/, ""), list = one("#list"), next = one("#list", fresh);
    data = JSON.parse(one("#data", fresh).textContent);
    tools(fresh, names);
    if (!list || !next) return next ? location.reload() : undefined;
    const at = items[current], known = new Map(items.map((item) => [item.id, item]));
    const focused = at && at.contains(document.activeElement);
    for (const item of next.querySelectorAll(".part > li")) {
      const mine = known.get(item.id);
      if (!mine) continue;
      if (mine.classList.contains("open")) one("details", item).open = one("details", mine).open;
      else item.replaceWith(mine); // what has ended does not change any more
    }
    list.replaceWith(document.adoptNode(next));
    read();
    current = at ? items.findIndex((item) => item.id === at.id) : -1;
    if (items[current]) go(current, { focus: focused, scroll: false });
    apply();
  }

  function tools(fresh, name) { // the new counts, with what was chosen
    const off = new Set([...document.querySelectorAll(".chip input:not(:checked)")].map((box) => box.value));
    one(".chips").replaceWith(document.adoptNode(one(".chips", fresh)));
    for (const box of document.querySelectorAll(".chip input")) box.checked = !off.has(box.value);
    one("#name").replaceChildren(...one("#name", fresh).children);
    for (const option of one("#name").options) if (option.textContent.replace(/ \([\d,]+\)$/, "") === name) option.selected = true;
    one("#count").dataset.total = one("#count", fresh).textContent;
  }

  function read() {
    items = [...document.querySelectorAll(".part > li")];
    parts = [...document.querySelectorAll(".part")];
    for (const part of parts) part.style.setProperty("--rows", part.children.length);
    texts = [];
    foldButtons();
    arrange();
  }

  // ---- The beginning: the picture at once, the rest when the list is there

  one("#timeline").hidden = !data.rows.length;
  arrange();
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.addEventListener("DOMContentLoaded", () => {
    read();
    one("#count").dataset.total = one("#count").textContent;
    one("#tools").hidden = false;
    one("#tools").addEventListener("input", () => requestAnimationFrame(apply));
    one("#tools").addEventListener("submit", (event) => event.preventDefault());
    one("#fold").addEventListener("click", foldAll);
    one("#help").addEventListener("click", help);
    one("#steps").addEventListener("click", (event) => {
      const item = event.target.closest(".part > li"), at = items.indexOf(item);
      if (event.target.closest(".fold")) fold(at, !folded.has(item)), apply();
      else if (event.target.closest(".part > li > details > summary") && !event.target.closest("a")) go(at, { focus: false });
    });
    document.addEventListener("mouseover", (event) => { // a time in the reader's own zone
      const time = event.target.closest?.("time");
      if (time && !time.title) time.title = new Date(time.dateTime).toLocaleString() + " here";
    });
    addEventListener("hashchange", follow);
    follow();
    if (data.live) watch(data.live);
  });
})();
