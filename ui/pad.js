// A pad to draw a digit on, with mouse, finger or pen. The picture goes to the server when a line ends.

const SIDE = 280; // px of the canvas
const SENT = 56; // px of what is sent
const LINE = 22;

class Pad {
  constructor(root) {
    this.canvas = element("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": "Draw a digit here with mouse, finger or pen" });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.context.lineWidth = LINE;
    this.context.lineCap = this.context.lineJoin = "round";
    this.context.strokeStyle = "#fff";
    this.hint = element("div", { class: "hint" }, "Draw here");
    const clear = element("button", { type: "button", onclick: () => this.clear() }, "Wipe");
    root.replaceChildren(element("div", { class: "sheet" }, this.canvas, this.hint), clear);
    this.canvas.onpointerdown = (event) => this.begin(event);
  }

  /* A digit that was drawn before, 28 x 28 greys, to go on with. */
  show(greys) {
    const levels = Uint8Array.from(atob(greys), (one) => one.charCodeAt(0));
    const side = Math.sqrt(levels.length);
    const small = document.createElement("canvas");
    [small.width, small.height] = [side, side];
    const pixels = new ImageData(side, side);
    levels.forEach((level, i) => pixels.data.set([255, 255, 255, level], 4 * i));
    small.getContext("2d").putImageData(pixels, 0, 0);
    this.context.drawImage(small, 0, 0, SIDE, SIDE);
    this.hint.hidden = true;
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  }

  begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.hint.hidden = true;
    this.context.beginPath();
    const [x, y] = this.at(event);
    this.context.moveTo(x, y);
    this.context.lineTo(x + 0.01, y); // a dot is a line, too
    this.context.stroke();
    this.canvas.onpointermove = (moved) => {
      for (const one of moved.getCoalescedEvents?.() ?? [moved]) this.context.lineTo(...this.at(one));
      this.context.stroke();
    };
    this.canvas.onpointerup = this.canvas.onpointercancel = () => {
      this.canvas.onpointermove = this.canvas.onpointerup = this.canvas.onpointercancel = null;
      this.report();
    };
  }

  clear() {
    this.context.clearRect(0, 0, SIDE, SIDE);
    this.hint.hidden = false;
  }

  report() {
    const small = document.createElement("canvas");
    [small.width, small.height] = [SENT, SENT];
    const context = small.getContext("2d");
    context.drawImage(this.canvas, 0, 0, SENT, SENT);
    const pixels = context.getImageData(0, 0, SENT, SENT).data;
    const levels = Uint8Array.from({ length: SENT * SENT }, (_, i) => pixels[4 * i + 3]); // how much of the white is there
    this.send("drawn", btoa(String.fromCharCode(...levels)));
  }
}

const keep = keeper(Pad);

export default function (component) {
  const [pad, leave] = keep(component.parentElement.querySelector(".pad"));
  pad.send = component.setTriggerValue;
  if (!pad.opened && component.data[0]) pad.show(component.data[0]);
  pad.opened = true;
  return leave;
}
