// Curves that grow: drawn anew in place, so that a zoom and the cursor survive new points.

const [LEFT, RIGHT, TOP, FOOT] = [52, 10, 8, 40];
const DRAG_PX = 6; // less is a click

class LineChart {
  constructor(root) {
    this.root = root;
    this.zoom = null; // [from, to] of the x axis; null is everything
    this.at = null; // where the cursor is, in values of the x axis
    this.drag = null;
    this.keys = element("div", { class: "keys" });
    this.reset = element("button", { type: "button", class: "reset", onclick: () => this.show(null) }, "Show all");
    this.svg = drawn("svg", { class: "plot", role: "img", tabindex: 0 });
    this.tip = element("div", { class: "tip", hidden: "" });
    this.head = element("div", { class: "head" }, this.keys, this.reset);
    root.replaceChildren(this.head, this.svg, this.tip);
    this.svg.onpointerdown = (event) => this.press(event);
    this.svg.onpointermove = (event) => this.move(event);
    this.svg.onpointerup = (event) => this.release(event);
    this.svg.onpointercancel = () => this.cancel();
    this.svg.onpointerleave = () => this.point(null);
    this.svg.onblur = () => this.point(null);
    this.svg.ondblclick = () => this.show(null);
    this.svg.onkeydown = (event) => this.key(event);
    this.resized = new ResizeObserver(() => this.data && this.draw());
    this.resized.observe(root);
  }

  destroy() {
    this.resized.disconnect();
  }

  update(data) {
    if (data.revision !== this.data?.revision) [this.zoom, this.at] = [null, null];
    this.data = data;
    this.draw();
    this.root.dataset.points = Math.max(0, ...data.lines.map((line) => line.x.length));
  }

  // --------------------------------------------------------------------------------------- drawing

  draw() {
    const { lines, height, label, title_x: title, unit } = this.data;
    const width = Math.max(this.root.clientWidth, 160);
    const [right, bottom] = [width - RIGHT, height - FOOT];
    this.scale = this.scales(right, bottom);
    const { x, y, from, to, low, high } = this.scale;
    const parts = [];
    for (const tick of this.data.log ? logTicks(low, high) : ticks(low, high, 5)) {
      parts.push(drawn("line", { class: "grid", x1: LEFT, x2: right, y1: y(tick), y2: y(tick) }));
      parts.push(drawn("text", { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, `${short(tick)}${unit}`));
    }
    for (const tick of ticks(from, to, Math.max(3, Math.floor(width / 65))))
      parts.push(drawn("text", { x: x(tick), y: bottom + 18, "text-anchor": "middle" }, tick.toLocaleString("en")));
    parts.push(drawn("text", { x: (LEFT + right) / 2, y: height - 4, "text-anchor": "middle" }, title));
    const area = drawn("svg", { x: LEFT, y: 0, width: Math.max(right - LEFT, 1) + 4, height: bottom + 2 });
    // the run in focus comes first, and is drawn on top
    for (const line of [...lines].reverse()) area.append(...this.curve(line));
    this.cursor = drawn("line", { class: "cursor", y1: TOP, y2: bottom });
    this.dots = drawn("g");
    this.band = drawn("rect", { class: "band", y: TOP, height: bottom - TOP, width: 0 });
    this.svg.replaceChildren(...parts, area, this.band, this.cursor, this.dots);
    set(this.svg, { viewBox: `0 0 ${width} ${height}`, width, height, "aria-label": label });
    this.reset.hidden = !this.zoom;
    this.keys.replaceChildren(...(this.data.named ? lines.filter((line) => line.named).map((line) => this.name(line)) : []));
    this.point(this.at);
  }

  color(line) {
    const theme = getComputedStyle(this.root).getPropertyValue("--st-chart-categorical-colors").split(",");
    return theme[line.color % theme.length].trim();
  }

  curve(line) {
    const { x, y } = this.scale;
    const color = this.color(line);
    const points = line.x.map((value, i) => [(x(value) - LEFT).toFixed(1), y(line.y[i]).toFixed(1)]);
    const path = drawn("polyline", { class: `line ${line.kind}`, stroke: color, points: points.map((p) => p.join(",")).join(" ") });
    const few = line.kind !== "raw" && points.length <= 24;
    return [path, ...(few ? points.map(([cx, cy]) => drawn("circle", { cx, cy, r: 3, fill: color })) : [])];
  }

  name(line) {
    const color = this.color(line);
    const sample = drawn("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, drawn("line", { class: `line ${line.kind}`, x1: 0, x2: 26, y1: 4, y2: 4, stroke: color }));
    return element("span", {}, sample, line.name);
  }

  // Everything from 0 to the last point, or what is zoomed to; upwards what is visible of it.
  scales(right, bottom) {
    const { lines, log } = this.data;
    const last = Math.max(...lines.map((line) => line.x[line.x.length - 1]), 0) || 1;
    const [from, to] = this.zoom ?? [0, last];
    const inside = lines.flatMap((line) => line.y.filter((value, i) => line.x[i] >= from && line.x[i] <= to && (!log || value > 0)));
    let low = inside.reduce((a, b) => Math.min(a, b), Infinity);
    let high = inside.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!inside.length) [low, high] = log ? [0.1, 1] : [0, 1];
    const up = log ? Math.log10 : (value) => value;
    const down = log ? (value) => 10 ** value : (value) => value;
    const room = (up(high) - up(low)) * 0.05 || (log ? 0.1 : Math.abs(high) * 0.05 || 0.5);
    [low, high] = [down(up(low) - room), down(up(high) + room)];
    const floor = up(low);
    const stretch = (bottom - TOP) / (up(high) - floor);
    return {
      from, to, low, high, right, bottom,
      x: (value) => LEFT + ((value - from) / (to - from)) * (right - LEFT),
      // a value that a log axis cannot show lies below it
      y: (value) => (log && value <= 0 ? bottom + 20 : bottom - (up(value) - floor) * stretch),
      value: (px) => Math.min(Math.max(from + ((px - LEFT) / (right - LEFT)) * (to - from), from), to),
    };
  }

  // ---------------------------------------------------------------------------------------- cursor

  // Show what every curve is at a place; null hides it.
  point(value) {
    this.at = value;
    const near = value === null ? [] : this.near(value);
    this.tip.hidden = near.length === 0;
    this.cursor.style.display = this.dots.style.display = near.length ? "" : "none";
    if (!near.length) return;
    const { x, y } = this.scale;
    const at = near.reduce((best, place) => (Math.abs(place.x - value) < Math.abs(best.x - value) ? place : best)).x;
    const px = x(at);
    set(this.cursor, { x1: px, x2: px });
    const dot = (place) => drawn("circle", { class: "dot", cx: x(place.x), cy: y(place.y), r: 4.5, fill: this.color(place.line) });
    this.dots.replaceChildren(...near.map(dot));
    const { digits, unit, title_x: title } = this.data;
    const rows = near.map(({ line, y: found }) => element("div", {}, this.name({ ...line, name: `${line.name}: ${found.toFixed(digits)}${unit}` })));
    this.tip.replaceChildren(element("b", {}, `${short(at)} ${title.toLowerCase()}`), ...rows);
    const width = this.root.clientWidth;
    const side = px > width / 2 ? { left: "auto", right: `${width - px + 12}px` } : { left: `${px + 12}px`, right: "auto" };
    Object.assign(this.tip.style, { top: `${this.head.offsetHeight + TOP}px`, ...side });
  }

  // The point of every curve that is next to a place; a curve that has ended before has none.
  near(value) {
    const { from, to } = this.scale;
    return this.data.lines
      .filter((line) => line.kind !== "raw" && line.x.length)
      .map((line) => {
        const i = nearest(line.x, value);
        return { line, x: line.x[i], y: line.y[i], reach: Math.max((to - from) * 0.02, line.x[i] - (line.x[i - 1] ?? line.x[i])) };
      })
      .filter((place) => place.x >= from && place.x <= to && Math.abs(place.x - value) <= place.reach);
  }

  key(event) {
    const line = this.data.lines.find((each) => each.kind !== "raw");
    if (!line) return;
    const now = this.at === null ? line.x.length - 1 : nearest(line.x, this.at);
    const by = Math.max(1, Math.round(line.x.length / 100));
    const to = { ArrowLeft: now - by, ArrowRight: now + by, Home: 0, End: line.x.length - 1 }[event.key];
    if (event.key === "Escape") this.show(null);
    else if (to !== undefined) this.point(line.x[Math.min(Math.max(to, 0), line.x.length - 1)]);
    else return;
    event.preventDefault();
  }

  // ------------------------------------------------------------------------------------------ zoom

  show(zoom) {
    this.zoom = zoom;
    this.draw();
  }

  place(event) {
    return event.clientX - this.svg.getBoundingClientRect().left;
  }

  press(event) {
    if (event.button !== 0) return;
    this.svg.setPointerCapture(event.pointerId);
    this.drag = this.place(event);
    this.point(this.scale.value(this.drag));
  }

  move(event) {
    const px = this.place(event);
    this.point(this.scale.value(px));
    if (this.drag === null) return;
    const [from, to] = [Math.min(px, this.drag), Math.max(px, this.drag)].map((edge) => Math.min(Math.max(edge, LEFT), this.scale.right));
    set(this.band, { x: from, width: to - from });
  }

  release(event) {
    if (this.drag === null) return;
    const [start, px] = [this.drag, this.place(event)];
    this.cancel();
    if (event.pointerType !== "touch" && Math.abs(px - start) >= DRAG_PX)
      this.show([start, px].map((edge) => this.scale.value(edge)).sort((a, b) => a - b));
  }

  cancel() {
    this.drag = null;
    set(this.band, { width: 0 });
  }
}

// Index of the value next to a place, in rising values.
function nearest(values, place) {
  let [low, high] = [0, values.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] <= place) low = middle;
    else high = middle;
  }
  return place - values[low] <= values[high] - place ? low : high;
}

function ticks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9); i += 1) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const decades = Math.log10(high / low);
  if (decades < 0.5) return ticks(low, high, 4);
  const factors = decades > 3 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1)
    found.push(...factors.map((factor) => factor * 10 ** power).filter((tick) => tick >= low && tick <= high));
  return found;
}

function short(value) {
  const size = Math.abs(value);
  if (size > 0 && (size < 1e-5 || size >= 1e7)) return value.toExponential(0).replace("e", "·10^").replace("+", "");
  return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
}

const keep = keeper(LineChart);

export default function ({ parentElement, data: [data] }) {
  const [chart, leave] = keep(parentElement.querySelector(".chart"));
  chart.update(data);
  return leave;
}
