"""What moves on a comparison's page: its curves, and the tables of the figure that is picked."""

from __future__ import annotations

SCRIPT = """
const data = JSON.parse(document.getElementById("data").textContent);
const pick = document.getElementById("figure");
const plot = document.getElementById("plot");
const chips = [...document.querySelectorAll("#legend button")];
const caption = document.getElementById("where");
const hidden = new Set();
const xs = data.windows.map(window => window.clicks);
const last = xs.length ? xs[xs.length - 1] : 1;
const moment = window_ => window_.time === null ? "" :
  " · " + new Date(1000 * window_.time).toISOString().slice(0, 16).replace("T", " ") + " UTC";
let from = 0, to = last, svg, cursor, band, across, start = null;

const element = (name, attributes, parent) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  parent.append(made);
  return made;
};
const label = (text, attributes, parent) => {
  element("text", attributes, parent).textContent = text;
};
// A round step: 1, 2 or 5 times a power of ten.
const step = (reach, parts) => {
  const rough = Math.max(reach, 1e-9) / parts, power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough * 0.999999);
};
const short = count =>
  count >= 1e6 ? +(count / 1e6).toFixed(2) + "M" : count >= 1e3 ? +(count / 1e3).toFixed(1) + "k"
  : String(Math.round(count));
const shown = () => data.models.filter((model, at) => !hidden.has(at));
const values = model => model.windows[pick.selectedIndex];

function draw() {
  const width = Math.max(280, plot.clientWidth), height = width < 600 ? 280 : 400;
  const left = 46, right = width - 10, top = 10, bottom = height - 40;
  plot.replaceChildren();
  svg = element("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": pick.value + " of each model along the stream"}, plot);
  const inside = xs.map((x, at) => at).filter(at => xs[at] >= from && xs[at] <= to);
  const seen = shown().flatMap(model => inside.map(at => values(model)[at]));
  if (!seen.length) {
    const text = xs.length ? "no model is shown" : "no window closed yet";
    label(text, {x: width / 2, y: height / 2, "text-anchor": "middle"}, svg);
    return;
  }
  const least = Math.min(...seen), size = step(Math.max(Math.max(...seen) - least, 0.01), 5);
  const floor = size * Math.floor(least / size);
  const ceiling = Math.max(size * Math.ceil(Math.max(...seen) / size - 1e-9), floor + size);
  across = x => left + (right - left) * (x - from) / (to - from);
  across.back = x => from + (to - from) * (x - left) / (right - left);
  const up = y => bottom - (bottom - top) * (y - floor) / (ceiling - floor);
  const digits = Math.max(2, Math.ceil(-Math.log10(size) - 1e-9));
  for (let y = floor; y <= ceiling + size / 2; y += size) {
    element("line", {class: "grid", x1: left, x2: right, y1: up(y), y2: up(y)}, svg);
    const place = {x: left - 6, y: up(y) + 4, "text-anchor": "end"};
    label(Math.abs(y).toFixed(digits), place, svg);
  }
  const tick = Math.max(1, step(to - from, width < 600 ? 4 : 9));
  for (let x = tick * Math.ceil(from / tick); x <= to; x += tick) {
    element("line", {class: "axis", x1: across(x), x2: across(x), y1: bottom, y2: bottom + 4}, svg);
    const anchor = across(x) > right - 16 ? "end" : "middle";
    label(short(x), {x: across(x), y: bottom + 18, "text-anchor": anchor}, svg);
  }
  const middle = {x: (left + right) / 2, y: height - 4, "text-anchor": "middle"};
  label("clicks learned", middle, svg);
  const clip = element("clipPath", {id: "inside"}, svg);
  element("rect", {x: left, y: top - 6, width: right - left, height: bottom - top + 12}, clip);
  const lines = element("g", {"clip-path": "url(#inside)"}, svg);
  // The best model is drawn last, on top.
  for (const model of shown().reverse()) {
    const ys = values(model);
    const points = xs.map((x, at) => across(x).toFixed(1) + " " + up(ys[at]).toFixed(1));
    element("path", {class: "line", d: "M" + points.join("L"), stroke: model.colour,
      "stroke-dasharray": model.dash}, lines);
    if (xs.length === 1)
      element("circle", {cx: across(xs[0]), cy: up(ys[0]), r: 3.5, fill: model.colour}, lines);
  }
  for (const model of shown()) {
    const ys = values(model);
    for (const alarm of model.drift) {
      // On the line, between the ends of two windows.
      const at = Math.max(1, xs.findIndex(x => x >= alarm.clicks));
      const part = (alarm.clicks - xs[at - 1]) / (xs[at] - xs[at - 1]) || 0;
      const x = across(alarm.clicks), rise = alarm.after > alarm.before;
      const y = up(ys[at - 1] + Math.min(1, Math.max(0, part)) * ((ys[at] ?? 0) - ys[at - 1]));
      const mark = element("path", {class: "alarm", fill: model.colour,
        d: rise ? `M${x - 5} ${y + 4}h10l-5 -9z` : `M${x - 5} ${y - 4}h10l-5 9z`}, lines);
      element("title", {}, mark).textContent = `${model.name}, click ` +
        `${alarm.clicks.toLocaleString("en")}: hit rate ${alarm.before.toFixed(3)} → ` +
        alarm.after.toFixed(3);
    }
  }
  band = element("rect", {class: "band", y: top, height: bottom - top, visibility: "hidden"}, svg);
  cursor = element("line", {class: "cursor", y1: top, y2: bottom, visibility: "hidden"}, svg);
}

// The legend tells the figures of the window under the pointer; without one, those of the last.
function read(at) {
  const window_ = data.windows[at];
  if (!window_) return;
  chips.forEach((chip, number) => {
    const value = values(data.models[number])[at];
    chip.querySelector("b").textContent = value.toFixed(4);
  });
  caption.textContent = `window of ${window_.scored.toLocaleString("en")} scored clicks, ending ` +
    `at click ${window_.clicks.toLocaleString("en")}${moment(window_)}`;
}

const place = event => event.clientX - svg.getBoundingClientRect().left;
plot.addEventListener("pointermove", event => {
  if (!across || !xs.length) return;
  const x = across.back(place(event));
  const at = xs.reduce((best, own, i) => Math.abs(own - x) < Math.abs(xs[best] - x) ? i : best, 0);
  cursor.setAttribute("x1", across(xs[at]));
  cursor.setAttribute("x2", across(xs[at]));
  cursor.setAttribute("visibility", xs[at] >= from && xs[at] <= to ? "visible" : "hidden");
  read(at);
  if (start === null) return;
  band.setAttribute("x", Math.min(start, place(event)));
  band.setAttribute("width", Math.abs(place(event) - start));
  band.setAttribute("visibility", "visible");
});
plot.addEventListener("pointerdown", event => {
  if (across && event.isPrimary && event.button === 0) start = place(event);
});
addEventListener("pointerup", event => {
  if (start === null) return;
  const ends = [across.back(start), across.back(place(event))].sort((a, b) => a - b);
  const wide = Math.abs(place(event) - start) > 12;
  start = null;
  if (wide) [from, to] = [Math.max(0, ends[0]), Math.min(last, ends[1])];
  document.getElementById("whole").disabled = from === 0 && to === last;
  draw();
});
addEventListener("pointercancel", () => { start = null; draw(); });
plot.addEventListener("pointerleave", () => {
  if (cursor) cursor.setAttribute("visibility", "hidden");
  read(xs.length - 1);
});
const whole = () => {
  [from, to] = [0, last];
  document.getElementById("whole").disabled = true;
  draw();
};
plot.addEventListener("dblclick", whole);
document.getElementById("whole").addEventListener("click", whole);
const toggle = () => {
  chips.forEach((chip, at) => chip.setAttribute("aria-pressed", !hidden.has(at)));
  draw();
};
chips.forEach((chip, at) => chip.addEventListener("click", () => {
  hidden.has(at) ? hidden.delete(at) : hidden.add(at);
  toggle();
}));
document.getElementById("all").addEventListener("click", () => { hidden.clear(); toggle(); });
document.getElementById("none").addEventListener("click", () => {
  data.models.forEach((model, at) => hidden.add(at));
  toggle();
});

// The tables below are of the figure that is picked.
function fill() {
  for (const name of document.querySelectorAll(".picked"))
    name.textContent = pick.selectedOptions[0].text;
  const rows = [...document.querySelectorAll("#slices tbody tr")];
  const columns = data.slices.map((kind, column) =>
    data.models.map(model => model.slices[column][pick.selectedIndex]));
  rows.forEach((row, number) => {
    [...row.cells].slice(1).forEach((cell, column) => {
      const all = columns[column], value = all[number];
      const best = Math.max(...all), least = Math.min(...all);
      cell.textContent = data.slices[column] ? value.toFixed(3) : "–";
      const strength = best > least ? (value - least) / (best - least) : 0;
      cell.style.background = `rgb(31 111 235 / ${(0.24 * strength).toFixed(3)})`;
    });
  });
  for (const cell of document.querySelectorAll("#apart td[data-pair]")) {
    const [difference, low, high] = data.apart[cell.dataset.pair][pick.selectedIndex];
    const turn = cell.dataset.turn, sign = turn * difference > 0 ? "+" : difference ? "−" : "";
    cell.textContent = sign + Math.abs(difference).toFixed(4);
    const real = low !== null && (low > 0 || high < 0);
    cell.className = !real ? "chance" : turn * difference > 0 ? "ahead" : "behind";
    const ends = [turn * low, turn * high].sort((a, b) => a - b);
    cell.title = low === null ? "too few clicks to tell"
      : `95 % interval: ${ends[0].toFixed(4)} to ${ends[1].toFixed(4)}`;
  }
}
document.getElementById("apart").addEventListener("click", event => {
  document.getElementById("interval").textContent = event.target.title;
});
pick.addEventListener("change", () => { draw(); read(xs.length - 1); fill(); });
addEventListener("resize", draw);
draw();
read(xs.length - 1);
fill();
"""
