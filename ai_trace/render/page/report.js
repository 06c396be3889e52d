// What the page can do beyond being read: search, filters, folding, keys, a live view; the picture: timeline.js.
// Nothing recorded is ever made into HTML or code here: it is moved as text, or as elements the server escaped.
"use strict";
(() => {
  let data = JSON.parse(one("#data").textContent);
  let items = []; // the list's <li>, one for each row
  let parts = []; // the <ol> that they stand in, a hundred in each
  let texts = []; // what search looks in, made when first needed
  let current = -1; // the row that the keys are at

  const picture = timeline(one("canvas"), {
    get data() { return data; },
    get items() { return items; },
    get current() { return current; },
    open: (at) => (location.hash === `#${items[at].id}` ? reveal(at) : (location.hash = items[at].id)),
  });

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
    showHits(words, states);
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
    picture.draw();
  }

  const HITS = 200, AROUND = 50; // steps that show where they were found; characters on each side of it

  function showHits(words, states) {
    for (const hit of document.querySelectorAll(".hit")) hit.remove();
    if (!words.length) return;
    for (let at = 0, shown = 0; at < items.length && shown < HITS; at++) {
      if (states[at] !== 2) continue;
      const summary = one("summary", items[at]), seen = summary.textContent.toLowerCase();
      const word = words.find((word) => !seen.includes(word));
      if (word !== undefined && ++shown) summary.append(hit(items[at].textContent.slice(summary.textContent.length).replace(/\s+/g, " "), word));
    }
  }

  function hit(text, word) {
    const found = document.createElement("span"), mark = document.createElement("mark");
    const start = text.toLowerCase().indexOf(word), end = start + word.length;
    found.className = "hit";
    mark.textContent = text.slice(start, end);
    found.append(start > AROUND ? "…" : "", text.slice(Math.max(0, start - AROUND), start), mark, text.slice(end, end + AROUND), "…");
    return found;
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
    picture.draw();
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
    for (const hit of document.querySelectorAll(".hit")) hit.remove();
    foldButtons();
    picture.arrange();
  }

  // ---- The beginning: the picture at once, the rest when the list is there

  picture.arrange();
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
    const PRINTED = 200; // steps that are printed with all they hold
    let opened = []; // for the printer, and closed again behind it
    addEventListener("beforeprint", () => {
      const where = items.length <= PRINTED ? "#findings details, #list details" : "#findings details";
      opened = [...document.querySelectorAll(where)].filter((one) => !one.open);
      for (const one of opened) one.open = true;
    });
    addEventListener("afterprint", () => opened.forEach((one) => (one.open = false)));
    follow();
    if (data.live) watch(data.live);
  });
})();
