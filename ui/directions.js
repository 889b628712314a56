// Small polar plots: how much a channel answers to each direction, a line for each speed.

const MIDDLE = 50;
const RADIUS = 38;
const FAINTEST = 0.3;

function at(directionDeg, radius) {
  const angle = (directionDeg * Math.PI) / 180;
  return [MIDDLE + radius * Math.cos(angle), MIDDLE + radius * Math.sin(angle)].map((part) => part.toFixed(1));
}

function plot({ title, answers, prefers }, directions) {
  const lines = answers.map((row, n) =>
    drawn("polygon", {
      points: row.map((value, d) => at(directions[d], RADIUS * value).join()).join(" "),
      opacity: (FAINTEST + ((1 - FAINTEST) * (n + 1)) / answers.length).toFixed(2),
    }),
  );
  const rings = [0.5, 1].map((part) => drawn("circle", { cx: MIDDLE, cy: MIDDLE, r: RADIUS * part }));
  const arrow = [];
  if (prefers !== null) {
    const tip = at(prefers, RADIUS + 11);
    const wings = [-1, 1].map((side) => at(prefers + 9 * side, RADIUS + 3).join());
    arrow.push(drawn("path", { class: "arrow", d: `M${at(prefers, RADIUS - 4)}L${tip}M${wings[0]}L${tip}L${wings[1]}` }));
  }
  const svg = drawn("svg", { viewBox: "0 0 100 100", role: "img", "aria-label": title }, ...rings, ...lines, ...arrow);
  return element("figure", {}, svg, element("figcaption", {}, title));
}

class Polar {
  constructor(root) {
    this.root = root;
    this.ended = enlargeable(this);
  }

  destroy() {
    this.ended();
  }

  update(data) {
    this.data = data;
    const bar = element("div", { class: "bar" }, enlarger(this, "the plots"));
    this.root.replaceChildren(bar, ...data.plots.map((one) => plot(one, data.directions)));
    this.root.dataset.ready = "true";
  }

  /* All plots alone, as large as the screen allows. */
  present(on) {
    if (on === !!this.presenting) return;
    this.presenting = on;
    fillScreen(this.root, on);
  }
}

const keep = keeper(Polar);

export default function ({ parentElement, data: [data] }) {
  const [polar, leave] = keep(parentElement.querySelector(".polar"));
  polar.update(data);
  return leave;
}
