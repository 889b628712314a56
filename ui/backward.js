// The frames that were seen, newest first, each coloured by what it did to one predicted pixel.

const DIMMED = 0.5; // how bright a frame shines through what it did

/* A picture of a sprite sheet as numbers from 0 to 255. */
function levels(image, columns, number, side) {
  const canvas = element("canvas", { width: side, height: side });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, (number % columns) * side, Math.floor(number / columns) * side, side, side, 0, 0, side, side);
  return context.getImageData(0, 0, side, side).data.filter((_, at) => at % 4 === 0);
}

class Backward {
  constructor(root) {
    this.root = root;
    this.loads = 0;
    this.ended = enlargeable(this);
  }

  destroy() {
    this.loads += 1;
    this.ended();
  }

  /* All frames alone, as large as the screen allows. */
  present(on) {
    if (on === !!this.presenting) return;
    this.presenting = on;
    fillScreen(this.root, on);
  }

  async update(data, send) {
    this.send = send;
    const text = JSON.stringify(data);
    if (text === this.text) return;
    this.text = text;
    const load = (this.loads += 1);
    const maps = data.back?.maps ?? {};
    let images;
    try {
      images = await Promise.all([data.prediction, data.clip, ...Object.values(maps).map((map) => map.sprite)].map(({ src }) => decode(src)));
    } catch {
      return; // newer data is on its way, or the page is being left
    }
    if (load !== this.loads) return;
    this.data = data;
    const [prediction, clip, ...drawnMaps] = images;
    const own = this.root.querySelector(".pick");
    const hadFocus = own && this.root.getRootNode().activeElement === own;
    this.root.replaceChildren(this.buildPrediction(prediction), this.buildFrames(clip, Object.keys(maps).map((number, n) => [Number(number), drawnMaps[n]])));
    if (hadFocus) this.root.querySelector(".pick").focus();
    this.root.dataset.loads = String(load);
    this.root.dataset.ready = "true";
  }

  buildPrediction(image) {
    const { canvas: side, pixel, count } = this.data;
    const canvas = element("canvas", { width: side, height: side, role: "img", "aria-label": "The predicted frame" });
    this.paint(canvas, levels(image, 1, 0, side), null);
    const [row, column] = pixel;
    const cross = drawn(
      "svg",
      { viewBox: `0 0 ${side} ${side}`, "aria-hidden": "true" },
      ...["around", ""].map((name) => drawn("rect", { class: name, x: column - 1, y: row - 1, width: 3, height: 3 })), // seen on ink, too
    );
    const box = element(
      "div",
      {
        class: "screen pick",
        tabindex: 0,
        role: "button",
        "aria-label": `Pixel in row ${row + 1}, column ${column + 1}. Click another one, or move with the arrow keys`,
        onclick: (event) => this.pick(event),
        onkeydown: (event) => this.move(event),
      },
      canvas,
      cross,
    );
    return element(
      "figure",
      { class: "target" },
      element("div", { class: "bar" }, element("div", { class: "name" }, `Predicted: frame ${count + 1}`), enlarger(this, "the frames")),
      box,
      element("figcaption", {}, "Click a pixel to ask where it comes from."),
    );
  }

  buildFrames(clip, maps) {
    const { canvas: side, count, back } = this.data;
    const known = new Map(maps);
    const tiles = Array.from({ length: count }, (_, ago) => {
      const number = count - 1 - ago;
      const canvas = element("canvas", { width: side, height: side, role: "img", "aria-label": `Frame ${number + 1}` });
      const { columns } = this.data.clip;
      const map = back?.maps[number];
      const what = map ? levels(known.get(number), 1, 0, map.side) : null;
      this.paint(canvas, levels(clip, columns, number, side), what && { values: what, side: map.side });
      const parts = [element("div", { class: "name" }, ago ? `${ago} before` : "Last seen"), element("div", { class: "screen" }, canvas)];
      if (back) {
        const value = back.frames[number];
        const share = Math.abs(value) / back.largest;
        const size = Math.abs(value).toFixed(2);
        parts.push(
          element("div", { class: `share${value < 0 ? " less" : ""}`, "aria-hidden": "true" }, element("b", { style: `width:${(100 * share).toFixed(1)}%` })),
          element("div", { class: "value" }, `${value < 0 && Number(size) ? "−" : ""}${size}`),
        );
      }
      return element("figure", { "data-frame": number }, ...parts);
    });
    return element("div", { class: "frames", role: "group", tabindex: 0, "aria-label": "The frames that were seen, the newest first" }, ...tiles);
  }

  /* A frame in grey, and over it what made the pixel brighter in one colour, darker in another. */
  paint(canvas, grey, what) {
    const side = canvas.width;
    const context = canvas.getContext("2d");
    const picture = context.createImageData(side, side);
    const scale = what ? what.side / side : 1;
    for (let at = 0; at < side * side; at += 1) {
      const light = what ? grey[at] * DIMMED : grey[at];
      const value = what ? what.values[Math.floor(Math.floor(at / side) * scale) * what.side + Math.floor((at % side) * scale)] - 128 : 0;
      const share = Math.sqrt(Math.abs(value) / 128); // what is small is to be seen, too
      const colour = value < 0 ? MISSING : EXTRA;
      for (let c = 0; c < 3; c += 1) picture.data[4 * at + c] = light * (1 - share) + colour[c] * share;
      picture.data[4 * at + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  }

  pick(event) {
    const { canvas: side } = this.data;
    const box = event.currentTarget.getBoundingClientRect();
    const place = (at, from, size) => Math.min(side - 1, Math.max(0, Math.floor(((at - from) / size) * side)));
    this.choose([place(event.clientY, box.top, box.height), place(event.clientX, box.left, box.width)]);
  }

  move(event) {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(this.data.pixel.map((at, axis) => Math.min(this.data.canvas - 1, Math.max(0, at + by[axis]))));
  }

  choose(at) {
    if (String(at) !== String(this.data.pixel)) this.send("pixel", { at });
  }
}

const keep = keeper(Backward);

export default function ({ parentElement, data: [data], setTriggerValue }) {
  const [backward, leave] = keep(parentElement.querySelector(".backward"));
  backward.update(data, (name, value) => setTriggerValue(name, value));
  return leave;
}
