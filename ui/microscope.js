// Inside a ConvLSTM cell, with one clock. The server sends maps once; time passes in the browser alone.

const RISING = colourMap(INFERNO);
const SIGNED = Array.from({ length: 256 }, (_, level) => {
  const value = level / 127.5 - 1;
  return [...(value < 0 ? MISSING : EXTRA).map((part) => Math.round(part * Math.abs(value))), 255];
});
const FRAMES_A_SECOND = 4;
const SORTS = {
  activity: "by activity",
  follows: "by how they follow the digits",
  change: "by change",
  number: "by number",
};
// Where things stand in the diagram, and what flows from where to where.
const NODES = {
  i: [96, 132, "i", "input"],
  f: [168, 132, "f", "forget"],
  g: [240, 132, "g", "candidate"],
  o: [318, 132, "o", "output"],
  c: [300, 36, "C", "cell"],
  h: [398, 96, "H", "hidden"],
  x: [44, 196, "X", "input frame"],
};
const FLOWS = [
  ["c", "M16 36H278"],
  ["c", "M322 36H424"],
  ["i", "M96 113V84H157a11 11 0 0 1 22 0H193"], // it leaps over that of f
  ["f", "M168 113V47"],
  ["g", "M240 113V84H215"],
  ["i", "M204 73V47"],
  ["c", "M358 36V82"],
  ["o", "M318 113V96H345"],
  ["h", "M371 96H378"],
  ["x", "M64 196H318V151"],
  ["x", "M96 196V151"],
  ["x", "M168 196V151"],
  ["x", "M240 196V151"],
  ["h", "M398 115V224H120V196"],
];
const PEEPS = ["M60 36V132H76", "M132 36V132H148", "M340 36V60H332V113"];
const SIGNS = [[168, 36, "×"], [204, 36, "+"], [204, 84, "×"], [358, 96, "×"]];
const EQUATIONS = {
  i: ["i", "σ", "how much is let in"],
  f: ["f", "σ", "how much is kept"],
  g: ["g", "tanh", "what could be written"],
  o: ["o", "σ", "how much is shown"],
};

function signed(value, digits = 3) {
  const size = Math.abs(value).toFixed(digits);
  return `${value < 0 && Number(size) ? "−" : ""}${size}`;
}

/* A number as a factor: in brackets where it has a sign. */
function factor(value) {
  const text = signed(value);
  return text.startsWith("−") ? `(${text})` : text;
}

/* The bytes of all pictures of a sprite sheet, one after the other. */
function bytesOf(image, sprite, side) {
  const canvas = element("canvas", { width: image.width, height: image.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  const out = new Uint8Array(sprite.count * side * side);
  for (let n = 0; n < sprite.count; n += 1) {
    const left = (n % sprite.columns) * side;
    const top = Math.floor(n / sprite.columns) * side;
    for (let y = 0; y < side; y += 1)
      for (let x = 0; x < side; x += 1)
        out[n * side * side + y * side + x] = data[4 * ((top + y) * image.width + left + x)];
  }
  return out;
}

/* The gallery's sprite sheet, which comes by itself: it is long, and most clicks leave it as it is. */
async function sheet(name) {
  while (window.gallerySheet?.name !== name) await new Promise((heard) => addEventListener("gallerysheet", heard, { once: true }));
  return window.gallerySheet.src;
}

class Microscope {
  constructor(root) {
    this.decoded = {};
    this.root = root;
    this.t = null;
    this.playing = false;
    this.sort = "activity";
    this.loads = 0;
    root.onkeydown = (event) => this.key(event);
    this.ended = enlargeable(this);
  }

  destroy() {
    this.loads += 1;
    clearInterval(this.clock);
    this.ended();
  }

  async update(data, send) {
    this.send = send;
    const text = JSON.stringify(data);
    if (text === this.text) return;
    this.text = text;
    const load = (this.loads += 1);
    const parts = {
      clip: [data.clip, data.canvas],
      prediction: [data.prediction, data.canvas],
      gallery: [data.gallery.sprite, data.gallery.side],
      large: [data.large.sprite, data.large.side],
    };
    const decoded = {};
    try {
      await Promise.all(
        Object.entries(parts).map(async ([name, [sprite, side]]) => {
          const src = sprite.src ?? (await sheet(sprite.name));
          const had = this.decoded[name];
          decoded[name] = had?.src === src ? had : { src, bytes: bytesOf(await decode(src), sprite, side) };
        }),
      );
    } catch {
      return; // newer data is on its way, or the page is being left
    }
    if (load !== this.loads) return;
    Object.assign(this, { data, decoded });
    this.colours = data.gallery.low < 0 ? SIGNED : RISING;
    this.t = Math.min(this.t ?? Math.floor(data.gallery.time / 2), data.gallery.time - 1);
    this.build();
    this.seek(this.t);
    if (this.asked && data.receipts.length) this.reveal();
    this.asked = false;
    this.root.dataset.loads = String(load);
    this.root.dataset.ready = "true";
  }

  // ------------------------------------------------------------------------------------------- parts

  build() {
    const shape = JSON.stringify([this.data.gallery.channels, this.data.gallery.side, this.data.gallery.time, this.data.chosen, this.data.large.side]);
    if (shape !== this.shape) {
      this.shape = shape;
      const hadFocus = this.focused();
      this.root.replaceChildren(
        element("div", { class: "top" }, this.buildDiagram(), this.buildLarge()),
        this.buildBar(),
        (this.receipt = element("section", { class: "receipt", "aria-live": "polite" })),
        this.buildStrip(),
        this.buildGallery(),
      );
      if (hadFocus) this.root.querySelector(hadFocus)?.focus();
    }
    this.largeName.textContent = `${this.data.maps[this.data.chosen].title}, channel ${this.data.large.channel + 1}`;
    this.range.max = this.data.gallery.time - 1;
    this.drawPeepholes();
    this.drawScale();
    this.order();
    this.drawStrip();
  }

  /* A selector of what has the keyboard, which is about to be built anew. */
  focused() {
    const active = this.root.getRootNode().activeElement;
    if (!active || !this.root.contains(active)) return null;
    if (active.dataset?.node) return `[data-node="${active.dataset.node}"]`;
    if (active.dataset?.channel) return `[data-channel="${active.dataset.channel}"]`;
    return null;
  }

  buildDiagram() {
    this.flows = FLOWS.map(([from, d]) => ({ from, path: drawn("path", { class: "flow", d }) }));
    this.peeps = drawn("g");
    this.legend = element("p", { class: "key" });
    this.scale = element("div", { class: "scale" });
    const signs = SIGNS.flatMap(([x, y, text]) => [
      drawn("circle", { class: "sign", cx: x, cy: y, r: 11 }),
      drawn("text", { class: "sign", x, y: y + 5, "text-anchor": "middle" }, text),
    ]);
    this.nodes = Object.entries(NODES).map(([name, [x, y, letter, word]]) => {
      const { title } = this.data.maps[name];
      const node = drawn(
        "g",
        {
          class: "node",
          role: "button",
          tabindex: 0,
          "data-node": name,
          "aria-pressed": String(name === this.data.chosen),
          "aria-label": `${title}: show its maps`,
          onclick: () => this.send("map", name),
          onkeydown: (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            event.stopPropagation();
            this.send("map", name);
          },
        },
        drawn("title", {}, title),
        drawn("rect", { x: x - 20, y: y - 19, width: 40, height: 38, rx: 8 }),
        drawn("text", { x, y: y - 1, "text-anchor": "middle" }, letter),
        drawn("text", { class: "value", x, y: y + 13, "text-anchor": "middle" }, ""),
        drawn("text", { class: "word", x, y: y + 32, "text-anchor": "middle" }, word),
      );
      return { name, node, value: node.querySelector(".value") };
    });
    const svg = drawn(
      "svg",
      { viewBox: "0 0 440 236", role: "group", "aria-label": "The cell as a diagram: choose a part to see its maps" },
      ...this.flows.map(({ path }) => path),
      this.peeps,
      ...signs,
      drawn("text", { class: "word", x: 16, y: 26 }, "memory before"),
      drawn("text", { class: "word", x: 424, y: 26, "text-anchor": "end" }, "memory after"),
      ...this.nodes.map(({ node }) => node),
    );
    const { title, says } = this.data.maps[this.data.chosen];
    return element(
      "div",
      { class: "diagram" },
      svg,
      this.legend,
      element("h2", {}, title),
      element("p", {}, says),
      this.scale,
    );
  }

  drawPeepholes() {
    const { peepholes } = this.data;
    this.peeps.replaceChildren(...(peepholes ? PEEPS.map((d) => drawn("path", { class: "peep", d })) : []));
    const dashed = peepholes ? " Dashed: peepholes, through which the gates see the memory." : "";
    this.legend.textContent = `Numbers: the mean size (sign ignored) over the map at this time; for X and C, as a share of their largest value.${dashed}`;
  }

  drawScale() {
    const { low, high } = this.data.gallery;
    const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((level) => `rgb(${this.colours[level].slice(0, 3).join(",")})`);
    this.scale.replaceChildren(
      signed(low, Number.isInteger(low) ? 0 : 2),
      element("b", { style: `background:linear-gradient(90deg,${stops.join(",")})` }),
      signed(high, Number.isInteger(high) ? 0 : 2),
      element("span", {}, "the same at all times and in all channels"),
    );
  }

  buildLarge() {
    const screen = (name, side, attributes = {}) => {
      const canvas = element("canvas", { width: side, height: side, role: "img", "aria-label": name });
      return { canvas, box: element("div", { class: "screen", ...attributes }, canvas), context: canvas.getContext("2d") };
    };
    this.screens = {
      clip: screen("The frame that was seen", this.data.canvas),
      large: screen("One channel", this.data.large.side, {
        class: "screen pick",
        tabindex: 0,
        role: "button",
        "aria-label": "Choose a pixel to work out; arrow keys move it",
        onclick: (event) => this.pick(event),
        onkeydown: (event) => this.movePixel(event),
      }),
      prediction: screen("What the network predicts next", this.data.canvas),
    };
    this.field = drawn("svg", { viewBox: `0 0 ${this.data.canvas} ${this.data.canvas}`, "aria-hidden": "true" });
    this.screens.clip.box.append(this.field);
    this.cross = drawn("svg", { viewBox: `0 0 ${this.data.large.side} ${this.data.large.side}`, "aria-hidden": "true" });
    this.screens.large.box.append(this.cross);
    this.largeName = element("span");
    const figure = (key, name, caption) =>
      element("figure", { "data-screen": key }, element("div", { class: "name" }, name), this.screens[key].box, element("figcaption", {}, caption));
    return element(
      "div",
      { class: "screens" },
      figure("large", this.largeName, this.data.chosen === "x" ? "What comes in from below; all else here is made of it." : "Click a pixel to see how its value comes about."),
      figure("clip", "Seen", "The frame at this time."),
      figure("prediction", "Predicted", "What comes next."),
    );
  }

  buildBar() {
    this.playButton = element("button", { type: "button", class: "play", onclick: () => this.toggle() });
    this.labelPlay();
    const step = (by, icon, name) => {
      const button = element("button", { type: "button", "aria-label": name, title: name, onclick: () => this.step(by) });
      button.innerHTML = icon;
      return button;
    };
    this.count = element("b");
    this.range = element("input", {
      type: "range",
      min: 0,
      max: this.data.gallery.time - 1,
      step: 1,
      "aria-label": "Frame",
      oninput: () => {
        this.pause();
        this.seek(Number(this.range.value));
      },
    });
    return element(
      "div",
      { class: "bar" },
      this.playButton,
      step(-1, TRANSPORT.back, "One frame back"),
      step(1, TRANSPORT.next, "One frame on"),
      element("span", { class: "count" }, "Frame ", this.count),
      this.range,
      enlarger(this, "the cell"),
    );
  }

  buildStrip() {
    const { time } = this.data.gallery;
    this.tiles = Array.from({ length: time }, (_, t) => {
      const canvas = element("canvas", { width: this.data.large.side, height: this.data.large.side });
      const button = element("button", { type: "button", tabindex: -1, "aria-label": `Frame ${t + 1}`, onclick: () => (this.pause(), this.seek(t)) }, canvas, String(t + 1));
      return { canvas, button };
    });
    this.strip = element("div", { class: "strip", role: "group", tabindex: 0, "aria-label": "This channel over time" }, ...this.tiles.map(({ button }) => button));
    return this.strip;
  }

  buildGallery() {
    const { channels, side } = this.data.gallery;
    this.thumbs = Array.from({ length: channels }, (_, channel) => {
      const canvas = element("canvas", { width: side, height: side });
      const button = element(
        "button",
        { type: "button", "data-channel": channel, "aria-label": `Channel ${channel + 1}`, title: `Channel ${channel + 1}`, onclick: () => this.send("channel", channel) },
        canvas,
      );
      return { canvas, button, context: canvas.getContext("2d") };
    });
    const sort = element(
      "select",
      { "aria-label": "Order of the channels", onchange: () => ((this.sort = sort.value), this.order()) },
      ...Object.entries(SORTS).map(([key, text]) => element("option", { value: key, selected: key === this.sort }, text)),
    );
    this.grid = element("div", { class: "grid" });
    return element(
      "section",
      { class: "gallery" },
      element("div", { class: "head" }, element("h2", {}, channels > 1 ? `All ${channels} channels` : "The only channel"), element("label", {}, "sorted ", sort)),
      this.grid,
    );
  }

  /* The channels as they are sorted, the chosen one marked. */
  order() {
    const scores = this.data.gallery.scores[this.sort];
    const numbers = this.thumbs.map((_, channel) => channel);
    if (scores) numbers.sort((a, b) => scores[b] - scores[a] || a - b);
    const wanted = numbers.map((channel) => this.thumbs[channel].button);
    if (wanted.some((button, n) => this.grid.children[n] !== button)) this.grid.replaceChildren(...wanted);
    this.thumbs.forEach(({ button }, channel) => button.setAttribute("aria-pressed", String(channel === this.data.large.channel)));
  }

  // ------------------------------------------------------------------------------------------- clock

  toggle() {
    this.playing = !this.playing;
    this.labelPlay();
    clearInterval(this.clock);
    if (this.playing) this.clock = setInterval(() => this.seek((this.t + 1) % this.data.gallery.time), 1000 / FRAMES_A_SECOND);
  }

  pause() {
    if (this.playing) this.toggle();
  }

  step(by) {
    this.pause();
    this.seek(Math.min(Math.max(this.t + by, 0), this.data.gallery.time - 1));
  }

  /* Diagram, pictures and time alone, as large as the screen allows. */
  present(on) {
    if (on === !!this.presenting) return;
    this.presenting = on;
    fillScreen(this.root, on);
  }

  labelPlay() {
    const [icon, text] = this.playing ? [TRANSPORT.pause, "Pause"] : [TRANSPORT.play, "Play"];
    this.playButton.innerHTML = `${icon} <span>${text}</span>`;
    this.playButton.setAttribute("aria-label", text);
  }

  key(event) {
    if (!this.data || event.ctrlKey || event.altKey || event.metaKey) return;
    const on = event.composedPath()[0]?.tagName;
    if (event.key === " " && on !== "BUTTON" && on !== "SELECT") this.toggle();
    else if (on === "SELECT" || on === "INPUT") return;
    else if (event.key === "ArrowRight" || (this.presenting && event.key === "PageDown")) this.step(1); // of a clicker
    else if (event.key === "ArrowLeft" || (this.presenting && event.key === "PageUp")) this.step(-1);
    else if (event.key === "Escape" && this.presenting) this.present(false);
    else if (event.key === "Escape" && this.data.pixel) this.send("pixel", { close: true });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // ---------------------------------------------------------------------------------------- pictures

  seek(t) {
    this.t = t;
    this.root.dataset.frame = String(t);
    this.range.value = t;
    this.range.setAttribute("aria-valuetext", `frame ${t + 1} of ${this.data.gallery.time}`);
    this.count.textContent = `${t + 1} / ${this.data.gallery.time}`;
    this.paint(this.screens.clip.context, "clip", t, this.data.canvas, null);
    this.paint(this.screens.prediction.context, "prediction", t, this.data.canvas, null);
    this.paint(this.screens.large.context, "large", t, this.data.large.side, this.colours);
    const { side, time } = this.data.gallery;
    this.thumbs.forEach(({ context }, channel) => this.paint(context, "gallery", channel * time + t, side, this.colours));
    this.tiles.forEach(({ button }, n) => button.classList.toggle("now", n === t));
    const { offsetLeft, offsetWidth } = this.tiles[t].button; // on a phone not all of them are in sight
    this.strip.scrollLeft = offsetLeft - this.strip.offsetLeft - (this.strip.clientWidth - offsetWidth) / 2;
    this.drawFlows();
    this.drawPixel();
    this.drawReceipt();
  }

  paint(context, name, number, side, colours) {
    const { bytes } = this.decoded[name];
    const out = context.createImageData(side, side);
    const first = number * side * side;
    for (let n = 0; n < side * side; n += 1) {
      const level = bytes[first + n];
      if (colours) out.data.set(colours[level], 4 * n);
      else out.data.set([level, level, level, 255], 4 * n);
    }
    context.putImageData(out, 0, 0);
  }

  drawStrip() {
    this.tiles.forEach(({ canvas }, t) => this.paint(canvas.getContext("2d"), "large", t, this.data.large.side, this.colours));
  }

  drawFlows() {
    const { activity } = this.data;
    this.flows.forEach(({ from, path }) => path.setAttribute("stroke-width", (1 + 7 * activity[from][this.t]).toFixed(2)));
    this.nodes.forEach(({ name, node, value }) => {
      value.textContent = activity[name][this.t].toFixed(2);
      node.setAttribute("aria-pressed", String(name === this.data.chosen));
    });
  }

  /* The chosen pixel, and what of the frame its convolution saw. */
  drawPixel() {
    const { pixel, reach, scale, canvas } = this.data;
    this.cross.replaceChildren();
    this.field.replaceChildren();
    if (!pixel) return;
    const [row, column] = pixel;
    this.cross.append(drawn("rect", { x: column, y: row, width: 1, height: 1 }));
    const left = Math.max(column * scale - reach, 0);
    const top = Math.max(row * scale - reach, 0);
    const right = Math.min((column + 1) * scale + reach, canvas);
    const bottom = Math.min((row + 1) * scale + reach, canvas);
    this.field.append(drawn("rect", { x: left, y: top, width: right - left, height: bottom - top }));
  }

  // ------------------------------------------------------------------------------------------ receipt

  pick(event) {
    if (this.data.chosen === "x") return;
    const { left, top, width, height } = this.screens.large.canvas.getBoundingClientRect();
    const side = this.data.large.side;
    const at = [(event.clientY - top) / height, (event.clientX - left) / width].map((part) => Math.min(Math.max(Math.floor(part * side), 0), side - 1));
    this.ask(at);
  }

  movePixel(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0] }[event.key];
    if (!step || this.data.chosen === "x") return;
    event.preventDefault();
    event.stopPropagation();
    const side = this.data.large.side;
    const from = this.data.pixel ?? [side >> 1, side >> 1];
    this.ask(from.map((value, axis) => Math.min(Math.max(value + step[axis], 0), side - 1)));
  }

  ask(at) {
    this.pause();
    this.asked = true;
    this.send("pixel", { at });
  }

  /* What was worked out comes into sight, and the map stays there where there is room for both. */
  reveal() {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.receipt.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
  }

  drawReceipt() {
    const { pixel, receipts, large, kernel } = this.data;
    if (!pixel || !receipts.length) {
      this.receipt.replaceChildren();
      return;
    }
    const now = receipts[this.t];
    const close = element("button", { type: "button", class: "close", "aria-label": "Close", title: "Close", onclick: () => this.send("pixel", { close: true }) }, "×");
    const cells = (name, values) => {
      const most = Math.max(...values.flat().map(Math.abs), 1e-9);
      const grid = element("span", { class: "patch", role: "img", "aria-label": `${name}, place by place`, style: `--side:${kernel}` });
      values.flat().forEach((value) => {
        const [r, g, b] = SIGNED[Math.round((value / most / 2 + 0.5) * 255)];
        grid.append(element("i", { style: `background:rgb(${r},${g},${b})`, title: signed(value) }));
      });
      return grid;
    };
    const rows = Object.entries(EQUATIONS).map(([gate, [letter, squash, meaning]]) => {
      const { input, recurrent, peephole, bias, total, value, from_input: seen, from_memory: remembered } = now.gates[gate];
      return element(
        "tr",
        {},
        element("th", { scope: "row" }, `${letter} `, element("small", {}, meaning)),
        ...[
          [signed(input), cells("What the frame adds", seen)],
          [signed(recurrent), cells("What the hidden state before adds", remembered)],
          [gate === "g" || !this.data.peepholes ? "–" : signed(peephole)],
          [signed(bias)],
          [signed(total)],
        ].map((parts, n) => element("td", { "data-name": PARTS_OF_A_SUM[n] }, ...parts)),
        element("td", { class: "value", "data-name": "value" }, `${squash} → ${signed(value)}`),
      );
    });
    const head = ["", ...PARTS_OF_A_SUM, "value"].map((text) => element("th", { scope: "col" }, text));
    const { i, f, g, o } = Object.fromEntries(Object.entries(now.gates).map(([gate, { value }]) => [gate, value]));
    this.receipt.replaceChildren(
      element("div", { class: "head" }, element("h2", {}, `Row ${pixel[0] + 1}, column ${pixel[1] + 1} of channel ${large.channel + 1}, frame ${this.t + 1}`), close),
      element("div", { class: "table" }, element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows))),
      element("p", { class: "sum" }, `C = f · C before + i · g ≈ ${signed(f)} · ${factor(now.before)} + ${signed(i)} · ${factor(g)} ≈ `, element("b", {}, signed(now.c))),
      element("p", { class: "sum" }, `H = o · tanh(C) ≈ ${signed(o)} · tanh(${signed(now.c)}) ≈ `, element("b", {}, signed(now.h))),
      element("p", { class: "key" }, "Worked out with all digits, shown with three: the last one of a sum can be off."),
    );
  }
}

const PARTS_OF_A_SUM = ["input", "+ H before", "+ peephole", "+ bias", "≈ sum"];

const keep = keeper(Microscope);

export default function ({ parentElement, data: [data], setTriggerValue }) {
  const [microscope, leave] = keep(parentElement.querySelector(".microscope"));
  microscope.update(data, (name, value) => setTriggerValue(name, value));
  return leave;
}
