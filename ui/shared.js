// What the app's own elements have in common; it stands before each of them.

const SVG = "http://www.w3.org/2000/svg";
const MISSING = [86, 180, 233]; // ink that is in the truth only, and all that is negative
const EXTRA = [230, 159, 0]; // ink that is in the prediction only, and all that is positive
// Matplotlib's colour map "inferno", at even steps: equal steps look equally far apart.
const INFERNO = ["000004", "1b0c41", "4a0c6b", "781c6d", "a52c60", "cf4446", "ed6925", "fb9b06", "f7d13d", "fcffa4"];
const TRANSPORT = {
  play: '<svg viewBox="0 0 10 10" aria-hidden="true"><path d="M1 0l9 5-9 5z"/></svg>',
  pause: '<svg viewBox="0 0 10 10" aria-hidden="true"><path d="M1 0h3v10H1zM6 0h3v10H6z"/></svg>',
  back: '<svg viewBox="0 0 10 10" aria-hidden="true"><path d="M1 0h2v10H1zM10 0v10L3.5 5z"/></svg>',
  next: '<svg viewBox="0 0 10 10" aria-hidden="true"><path d="M7 0h2v10H7zM0 0l6.5 5L0 10z"/></svg>',
};
const ENLARGE = '<svg viewBox="0 0 12 12" aria-hidden="true"><path d="M7 1h4v4M11 1L7 5M5 11H1V7M1 11l4-4"/></svg>';

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  set(node, attributes);
  node.append(...children);
  return node;
}

/* Attributes and handlers; what is false or undefined is not there. */
function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node[name] = value;
    else if (value === false || value === undefined) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : value);
  }
}

/* An element alone, as large as the screen allows, or back in its place. */
function fillScreen(root, on) {
  root.classList.toggle("presenting", on);
  if (on) {
    root.requestFullscreen?.().catch(() => {}); // a browser that does not allow it still shows it large
    root.focus();
  } else if (document.fullscreenElement) document.exitFullscreen();
}

/* Whether a key was pressed where somebody writes. */
function isWriting(event) {
  const on = event.composedPath()[0];
  return on.isContentEditable || ["TEXTAREA", "SELECT"].includes(on.tagName) || (on.tagName === "INPUT" && !["range", "checkbox", "radio"].includes(on.type));
}

/* Whether F was pressed anywhere on the page, and not as a letter of what somebody writes. */
function asksForLarge(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.key.toLowerCase() !== "f") return false;
  return !isWriting(event);
}

/* What lets an object show its element large: F wherever the focus is, Escape, and the browser's own way out.

`asked` says whether F is for this one. Returns what is to be called when the object goes. */
function enlargeable(one, asked = () => true) {
  const left = () => document.fullscreenElement || one.present(false);
  const pressed = (event) => {
    if (!one.data || event.defaultPrevented) return;
    if (one.presenting && event.key === "Escape") one.present(false);
    else if (asksForLarge(event) && asked()) one.present(!one.presenting);
    else return;
    event.preventDefault();
  };
  document.addEventListener("fullscreenchange", left);
  document.addEventListener("keydown", pressed);
  return () => {
    document.removeEventListener("fullscreenchange", left);
    document.removeEventListener("keydown", pressed);
  };
}

/* The button for it; `what` is shown. */
function enlarger(one, what) {
  const title = `Show ${what} large, for a class (F; Escape ends it)`;
  const button = element("button", { type: "button", class: "present", title, "aria-label": title, onclick: () => one.present(!one.presenting) });
  button.innerHTML = ENLARGE;
  return button;
}

/* Finds the object of a class that belongs to an element, and says what to do when the call ends.

Streamlit calls again for new data: the object stays. It also ends a call that newer data has overtaken; then the
element stays, and so does what it holds. */
function keeper(Made) {
  const made = new WeakMap();
  return (root, ...rest) => {
    if (!made.has(root)) made.set(root, new Made(root, ...rest));
    const leave = () => {
      if (root.isConnected) return;
      made.get(root)?.destroy?.();
      made.delete(root);
    };
    return [made.get(root), leave];
  };
}

function decode(src) {
  const image = new Image();
  image.src = src;
  return image.decode().then(() => image);
}

/* "1b0c41" and so on to 256 colours with alpha, by straight lines between them. */
function colourMap(names) {
  const known = names.map((name) => [0, 2, 4].map((at) => parseInt(name.slice(at, at + 2), 16)));
  return Array.from({ length: 256 }, (_, level) => {
    const at = (level / 255) * (known.length - 1);
    const low = Math.min(Math.floor(at), known.length - 2);
    return [...known[low].map((from, c) => Math.round(from + (at - low) * (known[low + 1][c] - from))), 255];
  });
}
