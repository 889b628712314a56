// Pictures of handwritten digits, one of them chosen. A radio group: arrow keys move, the choice follows.

const SIZE = 28;

function mark(grid, chosen, focus) {
  grid.querySelectorAll("button").forEach((button) => {
    const on = Number(button.dataset.number) === chosen;
    button.setAttribute("aria-checked", String(on));
    button.tabIndex = on ? 0 : -1;
    if (on && focus) button.focus();
  });
  if (!grid.querySelector('[tabindex="0"]') && grid.firstChild) grid.firstChild.tabIndex = 0;
}

export default function (component) {
  const { parentElement, setTriggerValue } = component;
  const [data] = component.data;
  const root = parentElement.querySelector(".picker");
  const { sprite, first, total, selected, label } = data;
  const hadFocus = root.contains(parentElement.activeElement ?? null) && !!root.querySelector(".grid button:focus");

  const grid = element("div", { class: "grid", role: "radiogroup", "aria-label": label });
  const pick = (number, focus) => {
    mark(grid, number, focus);
    setTriggerValue("pick", number);
  };
  const image = new Image();
  for (let i = 0; i < sprite.count; i += 1) {
    const canvas = element("canvas", { width: SIZE, height: SIZE });
    grid.append(
      element(
        "button",
        {
          type: "button",
          role: "radio",
          "aria-label": `example ${first + i + 1}`,
          "data-number": first + i,
          onclick: () => pick(first + i, false),
        },
        canvas,
      ),
    );
  }
  grid.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 8, ArrowLeft: -1, ArrowUp: -8 }[event.key];
    const at = Number(parentElement.activeElement?.dataset?.number);
    if (!step || Number.isNaN(at)) return;
    event.preventDefault();
    event.stopPropagation();
    const next = Math.min(Math.max(at + step, first), first + sprite.count - 1);
    if (next !== at) pick(next, true);
  };
  image.onload = () => {
    grid.querySelectorAll("canvas").forEach((canvas, i) => {
      const x = (i % sprite.columns) * SIZE;
      const y = Math.floor(i / sprite.columns) * SIZE;
      canvas.getContext("2d").drawImage(image, x, y, SIZE, SIZE, 0, 0, SIZE, SIZE);
    });
    // Swapped in only when drawn: no flash of empty tiles while another class loads.
    root.replaceChildren(head, grid);
    mark(grid, selected, hadFocus);
  };

  const turn = (by, text, name) =>
    element("button", {
      type: "button",
      "aria-label": name,
      title: name,
      onclick: () => setTriggerValue("page", Math.max(first + by, 0)),
    }, text);
  const previous = turn(-data.page, "‹", "earlier examples");
  previous.disabled = first === 0;
  const next = turn(data.page, "›", "more examples");
  next.disabled = first + sprite.count >= total;
  const head = element("div", { class: "head" }, element("span", {}, "Handwriting"), previous, next);
  image.src = sprite.src;
}
