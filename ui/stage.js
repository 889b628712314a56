// The first frame to lay hands on: drag a digit to where it starts, drag its arrow for its velocity.

const SEND_EVERY_MS = 120; // while a digit is dragged
const SEND_AFTER_KEY_MS = 150;
const SAME_GESTURE_MS = 1200; // keys pressed one after the other are one thing to undo
const ARROW = 3; // frames that the arrow looks ahead
const PATH_FRAMES = 40; // of a way that are drawn: more would hide the digits
const MARGIN = 5; // px around the picture where an arrow's tip may stand
const ICONS = {
  add: '<path d="M8 3v10M3 8h10"/>',
  duplicate: '<rect x="2.5" y="2.5" width="8" height="8" rx="1.5"/><path d="M5.5 13.5h6a2 2 0 0 0 2-2v-6"/>',
  remove: '<path d="M3 4.5h10M6.5 4V2.5h3V4M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4"/>',
  undo: '<path d="M5.5 3L2.5 6l3 3M3 6h6.5a3.5 3.5 0 0 1 0 7H6"/>',
  redo: '<path d="M10.5 3l3 3-3 3M13 6H6.5a3.5 3.5 0 0 0 0 7H10"/>',
};

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/* Velocity in px a frame, from speed and direction (degrees; 0 is right, 90 is down), and back. */
function velocity({ speed, direction }) {
  const angle = (direction * Math.PI) / 180;
  return [speed * Math.cos(angle), speed * Math.sin(angle)];
}

function withVelocity(digit, vx, vy, most) {
  const speed = clamp(Math.round(Math.hypot(vx, vy) * 10) / 10, 0, most);
  // one that stands still keeps its face
  const turned = ((Math.round((Math.atan2(vy, vx) * 180) / Math.PI) % 360) + 360) % 360;
  return { ...digit, speed, direction: speed > 0 ? turned : digit.direction };
}

/* The way of the corner along one axis: the rule of core.moving_mnist, for the line that follows a drag. */
function bounced(start, speed, frames, span, rule) {
  const places = [start];
  let [at, by] = [start, speed];
  for (let frame = 1; frame < frames; frame += 1) {
    at += by;
    if (rule === "clamp") {
      if (at <= 0) by = Math.abs(by);
      else if (at >= span) by = -Math.abs(by);
      at = clamp(at, 0, span);
    } else {
      while (at < 0 || at > span) {
        at = at < 0 ? -at : 2 * span - at;
        by = -by;
      }
    }
    places.push(at);
  }
  return places;
}

class Stage {
  constructor(root, component) {
    this.root = root;
    this.gestures = 0;
    this.lastKey = 0;
    this.sent = []; // places that were told and are not answered yet, after the one where it began
    // Undo is for the whole page: after a click on a ready-made scene the focus is there.
    this.pressed = (event) => this.data && !event.defaultPrevented && !isWriting(event) && this.shortcut(event);
    document.addEventListener("keydown", this.pressed);
    this.adopt(component);
  }

  adopt(component) {
    this.send = component.setTriggerValue;
    this.active = () => component.parentElement.activeElement ?? document.activeElement;
  }

  destroy() {
    clearTimeout(this.timer);
    document.removeEventListener("keydown", this.pressed);
  }

  // ------------------------------------------------------------------------------------------ data

  update(data) {
    this.data = data;
    const earlier = this.isEarlier(data);
    // what a person holds in the hand, or has just let go of, is not taken away by an answer to an earlier place
    if (!this.held && !this.timer && !earlier) this.digits = data.digits.map((digit) => ({ ...digit }));
    else this.digits = data.digits.map((digit, n) => ({ ...digit, ...motionOf(this.digits[n] ?? digit) }));
    this.selected = data.selected;
    this.build();
    this.draw();
    this.root.dataset.ready = "true";
  }

  isEarlier({ digits }) {
    const at = this.sent.lastIndexOf(words(digits));
    const earlier = at >= 0 && at < this.sent.length - 1;
    this.sent = earlier ? this.sent.slice(at) : [];
    return earlier;
  }

  build() {
    const { size, side, digits, most_digits: most } = this.data;
    const shape = JSON.stringify([size, side, digits.length]);
    if (shape !== this.shape) {
      this.shape = shape;
      const end = size + 2 * MARGIN;
      this.picture = drawn("g", { class: "picture" }, drawn("rect", { width: size, height: size, fill: "#000" }));
      this.views = digits.map((_, n) => this.buildDigit(n));
      this.picture.append(...this.views.map((view) => view.image));
      this.svg = drawn(
        "svg",
        { viewBox: `${-MARGIN} ${-MARGIN} ${end} ${end}`, role: "group", "aria-label": "The scene: digits to move" },
        this.picture,
        ...this.views.map((view) => view.path),
        ...this.views.map((view) => view.group),
        ...this.views.map((view) => view.arrow), // above all digits: each can be taken hold of
      );
      this.buttons = {};
      const bar = element("div", { class: "tools" });
      const button = (name, title) => {
        const node = element("button", { type: "button", title, "aria-label": title, onclick: () => this.act(name) });
        node.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[name]}</svg>`;
        this.buttons[name] = node;
        bar.append(node);
      };
      button("add", `Add a digit: up to ${most} fly at once`);
      button("duplicate", "Duplicate the chosen digit");
      button("remove", "Remove the chosen digit (Delete)");
      bar.append(element("span", { class: "spring" }));
      button("undo", "Undo (Ctrl+Z)");
      button("redo", "Redo (Ctrl+Y)");
      const had = this.root.contains(this.active()) && this.active()?.dataset?.digit !== undefined;
      this.root.replaceChildren(this.svg, bar);
      this.root.onkeydown = (event) => this.shortcut(event);
      if (had) this.views[Math.min(this.data.selected, digits.length - 1)]?.group.focus();
    }
    set(this.buttons.add, { disabled: digits.length >= most });
    set(this.buttons.duplicate, { disabled: digits.length >= most });
    set(this.buttons.remove, { disabled: digits.length <= 1 });
    set(this.buttons.undo, { disabled: !this.data.undo });
    set(this.buttons.redo, { disabled: !this.data.redo });
  }

  buildDigit(n) {
    const { side } = this.data;
    const image = drawn("image", { width: side, height: side });
    const path = drawn("g", { class: "path" }, drawn("polyline", { fill: "none" }), drawn("circle", { r: 0.9 }));
    const box = drawn("rect", { class: "box", width: side, height: side, rx: 1.5 });
    const shaft = [drawn("line", { class: "casing" }), drawn("line", { class: "shaft" })];
    const head = drawn("polygon", { class: "head" });
    const grip = drawn("circle", { class: "grip", r: 5 });
    const arrow = drawn("g", { class: "arrow" }, ...shaft, head, grip, drawn("title", {}, "Drag: how fast, and which way"));
    const group = drawn(
      "g",
      {
        class: "digit",
        tabindex: 0,
        role: "button",
        "data-digit": n,
        onkeydown: (event) => this.key(event, n),
        onfocus: () => this.select(n),
      },
      box,
    );
    this.offer(group, n, "place");
    this.offer(grip, n, "arrow");
    return { image, path, group, box, arrow, shaft, head, grip };
  }

  /* Lets a part be taken hold of. A finger on it does not scroll: touch-action of a part of an SVG is not heeded. */
  offer(node, n, what) {
    node.onpointerdown = (event) => this.grab(event, n, what);
    node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  }

  // --------------------------------------------------------------------------------------- drawing

  draw() {
    this.digits.forEach((digit, n) => this.drawDigit(digit, n));
  }

  drawDigit(digit, n) {
    const { side, frames, rule, size } = this.data;
    const { image, path, group, box, arrow, shaft, head, grip } = this.views[n];
    const span = size - side;
    const [vx, vy] = velocity(digit);
    const [x, y] = [digit.x + side / 2, digit.y + side / 2];
    set(image, { href: digit.picture, x: digit.x, y: digit.y });
    set(box, { x: digit.x, y: digit.y });
    const shown = Math.min(frames, PATH_FRAMES);
    const down = bounced(digit.y, vy, shown, span, rule);
    const points = bounced(digit.x, vx, shown, span, rule).map((at, i) => [at + side / 2, down[i] + side / 2]);
    const [line, end] = path.children;
    set(line, { points: points.map((point) => point.map((at) => at.toFixed(2)).join(",")).join(" "), stroke: digit.color });
    const [endX, endY] = points[points.length - 1];
    set(end, { cx: endX, cy: endY, fill: digit.color });
    for (const part of [group, arrow]) part.style.setProperty("--digit", digit.color);
    // a tip outside of the picture could not be taken hold of
    const reach = Math.min(1, ...[[vx, x], [vy, y]].map(([by, at]) => edge(by * ARROW, at, size)));
    const [tipX, tipY] = [x + vx * ARROW * reach, y + vy * ARROW * reach];
    shaft.forEach((part) => set(part, { x1: x, y1: y, x2: tipX, y2: tipY }));
    const [ux, uy] = digit.speed > 0 ? [vx / digit.speed, vy / digit.speed] : [0, 0];
    const corner = (along, across) => `${tipX + along * ux - across * uy},${tipY + along * uy + across * ux}`;
    set(head, { points: [corner(2.4, 0), corner(-1.6, 2.2), corner(-1.6, -2.2)].join(" ") });
    head.style.display = digit.speed > 0 ? "" : "none";
    set(grip, { cx: tipX, cy: tipY });
    grip.classList.toggle("still", digit.speed === 0);
    const chosen = n === this.selected;
    group.classList.toggle("chosen", chosen);
    path.classList.toggle("chosen", chosen);
    // uppermost; to put it where it is already would take the pointer away from it
    if (chosen && this.svg.lastElementChild !== arrow) this.svg.append(arrow);
    set(group, {
      "aria-pressed": String(chosen),
      "aria-label":
        `Digit ${digit.name}, ${digit.x} pixels from the left, ${digit.y} from the top, ` +
        `${digit.speed} pixels a frame towards ${digit.direction} degrees. ` +
        "Arrow keys move it, Shift and arrow keys change its velocity, Delete removes it.",
    });
  }

  // --------------------------------------------------------------------------------------- by hand

  select(n) {
    if (n === this.selected) return;
    this.selected = n;
    this.draw();
    this.send("act", { name: "select", number: n });
  }

  at(event) {
    const point = new DOMPoint(event.clientX, event.clientY);
    return point.matrixTransform(this.svg.getScreenCTM().inverse());
  }

  grab(event, n, what) {
    if (event.button !== 0) return;
    event.stopPropagation();
    event.preventDefault(); // no text is marked while a digit is dragged
    const node = event.currentTarget;
    node.setPointerCapture(event.pointerId);
    this.select(n);
    this.views[n].group.focus({ preventScroll: true });
    const from = this.at(event);
    const begun = { ...this.digits[n] };
    this.held = { n, moved: false };
    this.gestures += 1;
    this.svg.classList.add("dragging");
    node.onpointermove = (moved) => {
      const to = this.at(moved);
      this.held.moved = true;
      this.change(n, this.dragged(begun, what, to.x - from.x, to.y - from.y));
      this.later(SEND_EVERY_MS, false);
    };
    // however it ends, a digit that is held for ever would follow no more
    node.onpointerup = node.onpointercancel = node.onlostpointercapture = () => {
      node.onpointermove = node.onpointerup = node.onpointercancel = node.onlostpointercapture = null;
      this.svg.classList.remove("dragging");
      const { moved } = this.held;
      this.held = null;
      if (moved) this.now(true);
    };
  }

  dragged(digit, what, dx, dy) {
    const { size, side, most_speed: most } = this.data;
    if (what === "place") {
      const place = (at) => clamp(Math.round(at), 0, size - side);
      return { ...digit, x: place(digit.x + dx), y: place(digit.y + dy) };
    }
    const [vx, vy] = velocity(digit);
    return withVelocity(digit, vx + dx / ARROW, vy + dy / ARROW, most);
  }

  change(n, digit) {
    this.digits[n] = digit;
    this.drawDigit(digit, n);
  }

  key(event, n) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (event.key === "Delete" || event.key === "Backspace") this.act("remove");
    else if (event.key === "Enter" || event.key === " ") this.select(n);
    else if (!step) return;
    else {
      const digit = this.digits[n];
      const by = event.shiftKey ? [0.2, 0.2] : [1, 1];
      if (event.shiftKey) {
        const [vx, vy] = velocity(digit);
        this.change(n, withVelocity(digit, vx + by[0] * step[0], vy + by[1] * step[1], this.data.most_speed));
      } else this.change(n, this.dragged(digit, "place", step[0], step[1]));
      if (event.timeStamp - this.lastKey > SAME_GESTURE_MS) this.gestures += 1;
      this.lastKey = event.timeStamp;
      this.later(SEND_AFTER_KEY_MS, true);
    }
    event.preventDefault();
    event.stopPropagation();
  }

  shortcut(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const name = event.key.toLowerCase();
    if (name === "y" || (name === "z" && event.shiftKey)) this.act("redo");
    else if (name === "z") this.act("undo");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  act(name) {
    if (this.buttons[name]?.disabled) return;
    if (this.timer) this.now(true);
    this.sent = []; // whatever place comes of it is the right one
    this.send("act", { name, number: this.selected });
  }

  // --------------------------------------------------------------------------------------- sending

  later(wait, final) {
    this.timer ??= setTimeout(() => this.now(final), wait);
  }

  now(final) {
    clearTimeout(this.timer);
    this.timer = null;
    // one question at a time on the way: the last place would have to wait for the answers to all before
    if (!final && this.sent.length > 1) return this.later(SEND_EVERY_MS, false);
    const digits = this.digits.map(({ x, y, speed, direction }) => [x, y, speed, direction]);
    if (!this.sent.length) this.sent.push(words(this.data.digits));
    this.sent.push(words(this.digits));
    this.send("move", { digits, gesture: `${this.id ??= Math.random().toString(36).slice(2)}-${this.gestures}`, final });
  }
}

const words = (digits) => JSON.stringify(digits.map(motionOf));
const motionOf = ({ x, y, speed, direction }) => ({ x, y, speed, direction });

/* How much of a way from `at` by `by` stays in the picture and its margin: 1 for all of it. */
function edge(by, at, size) {
  const room = by > 0 ? size + MARGIN - 2.5 - at : at + MARGIN - 2.5;
  return Math.abs(by) > room ? room / Math.abs(by) : 1;
}

const keep = keeper(Stage);

export default function (component) {
  const [stage, leave] = keep(component.parentElement.querySelector(".stage"), component);
  stage.adopt(component);
  stage.update(component.data[0]);
  return leave;
}
