// Clips side by side with one clock. The server sends the pictures once; after that nothing is asked of it.

const RATES = [2, 4, 8, 12, 20, 30];
const GHOSTS = [0.22, 0.45]; // onion skin: how much of the frames before shines through, the oldest first
const LEAST = 96; // px of a picture's side when shown to a class; what does not fit then is scrolled
const SIZES = colourMap(INFERNO);

class Player {
  constructor(root) {
    this.root = root;
    this.frame = null;
    this.rate = 0;
    this.playing = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.chartKey = null;
    this.showPaths = false;
    this.view = { loop: true, onion: false, sizes: false, film: false };
    this.zoomed = null;
    this.loads = 0;
    this.shown = true;
    root.onkeydown = (event) => this.key(event);
    // all of the page, in their order: what is pressed elsewhere is for the first that is in sight
    (window.clipPlayers ??= new Set()).add(this);
    this.ended = enlargeable(this, () => [...window.clipPlayers].find((player) => player.shown) === this);
    root.onpointerdown = (event) => {
      if (this.viewOpen?.open && !event.composedPath().includes(this.viewOpen)) this.viewOpen.open = false;
    };
    this.resized = new ResizeObserver(() => {
      if (!this.data) return;
      this.drawChart();
      this.fit();
    });
    this.resized.observe(root);
    this.seen = new IntersectionObserver((entries) => {
      this.shown = entries[entries.length - 1].isIntersecting;
      this.schedule();
    });
    this.seen.observe(root);
  }

  destroy() {
    this.loads += 1;
    this.ended();
    window.clipPlayers.delete(this);
    cancelAnimationFrame(this.request);
    this.resized.disconnect();
    this.seen.disconnect();
  }

  // ------------------------------------------------------------------------------------------ data

  async update(data) {
    const text = JSON.stringify(data);
    if (text === this.text) return;
    this.text = text;
    const load = (this.loads += 1);
    const images = {};
    try {
      await Promise.all(
        data.panels.filter((panel) => panel.sprite).map(async (panel) => {
          images[panel.key] = await decode(panel.sprite.src);
        }),
      );
    } catch {
      return; // newer data is on its way, or the page is being left
    }
    if (load !== this.loads) return;
    this.images = images;
    this.data = data;
    this.rate ||= data.rate;
    // begin with something to see
    const start = data.given || Math.max(...data.panels.map((panel) => panel.first));
    this.frame = Math.min(this.frame ?? start, data.length - 1);
    this.build();
    this.seek(this.frame);
    this.schedule();
    this.revealed ??= data.reveal;
    if (data.reveal !== this.revealed) this.root.scrollIntoView({ block: "nearest" }); // asked for from further down
    this.revealed = data.reveal;
    this.root.dataset.loads = String(load);
    this.root.dataset.ready = "true";
  }

  // Built anew only when its parts change, so that focus and a drag survive new pictures.
  build() {
    const { panels, charts, length, strip, given } = this.data;
    const shape = JSON.stringify([
      panels.map((panel) => [panel.key, panel.title, panel.caption, panel.waiting, panel.paths.length > 0]),
      charts.map((chart) => chart.key),
      strip && length,
      given > 0,
      this.view.film && [length, given],
    ]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.caption = element("div", { class: "caption" });
      this.heading = element("p", { class: "heading" });
      const parts = [this.heading, this.buildPanels(), this.caption, this.buildBar(), this.buildTime()];
      if (this.view.film) parts.push(this.buildFilm());
      if (charts.length) parts.push(...this.buildChart());
      const sides = [element("div", { class: "main" }, ...parts)];
      if (strip) sides.push(this.buildStrip());
      this.root.replaceChildren(element("div", { class: strip ? "sides" : "" }, ...sides));
      this.root.classList.toggle("charted", charts.length > 0);
    }
    this.heading.textContent = this.data.heading;
    this.range.max = length - 1;
    if (given > 0) this.drawSpans();
    if (strip) this.drawStrip();
    if (this.view.film) this.drawFilm();
    if (charts.length) this.drawChart();
    this.drawPaths();
    this.fit();
  }

  buildPanels() {
    const { panels, size } = this.data;
    this.views = panels.map((panel) => {
      const canvas = element("canvas", { width: size, height: size, role: "img", "aria-label": panel.title });
      const waiting = element("div", { class: "waiting", hidden: true }, panel.waiting);
      const enlarge = element("button", { type: "button", class: "enlarge", onclick: () => this.zoom(panel.key) });
      enlarge.innerHTML = ENLARGE;
      const screen = element("div", { class: "screen" }, canvas, waiting, enlarge);
      const badge = panel.paths.length ? this.pathSwitch() : element("span", { class: "badge" });
      const figure = element(
        "figure",
        { "data-panel": panel.key },
        element("div", { class: "name" }, element("span", {}, panel.title), badge),
        screen,
        element("figcaption", {}, panel.difference ? this.legend(panel) : panel.caption),
      );
      return { figure, canvas, waiting, badge, screen, enlarge, context: canvas.getContext("2d", { willReadFrequently: true }) };
    });
    const kind = panels.length > 1 ? "several" : "single";
    const narrow = this.data.narrow ?? NARROW_COLUMNS[panels.length] ?? 3;
    this.panels = element(
      "div",
      { class: `panels ${kind}`, style: `--columns:${WIDE_COLUMNS[panels.length] ?? panels.length};--narrow:${narrow}` },
      ...this.views.map((view) => view.figure),
    );
    // on a phone, where no picture has words below it, one legend for all errors; it fills a gap in the last row
    const compared = panels.find((panel) => panel.difference);
    this.common = compared ? element("div", { class: "common" }, this.legend(compared)) : null;
    if (this.common) {
      this.common.classList.toggle("beside", panels.length % narrow > 0);
      this.panels.append(this.common);
    }
    this.zoom(panels.some((panel) => panel.key === this.zoomed) ? this.zoomed : null);
    return this.panels;
  }

  /* One picture large, the others beside each other below it; the same again makes them alike. */
  zoom(key) {
    this.zoomed = key !== this.zoomed || this.panels?.dataset.zoomed !== key ? key : null;
    if (this.zoomed) this.panels.dataset.zoomed = this.zoomed;
    else delete this.panels.dataset.zoomed;
    this.data.panels.forEach((panel, i) => {
      const large = panel.key === this.zoomed;
      const { figure, enlarge } = this.views[i];
      figure.classList.toggle("large", large);
      const text = large ? `${panel.title}: as small as the others` : `${panel.title}: enlarge`;
      set(enlarge, { "aria-label": text, title: text, "aria-pressed": String(large) });
    });
  }

  /* What the colours of a difference mean: beside the truth it is an error, beside another prediction a change. */
  legend(panel) {
    const error = panel.difference[1].endsWith("truth");
    if (this.view.sizes) {
      const ramp = INFERNO.map((colour) => `#${colour}`).join(",");
      return element("div", { class: "legend" }, "0", element("b", { style: `background:linear-gradient(90deg,${ramp})` }), error ? "1: as wrong as can be" : "1: as different as can be");
    }
    const entry = (color, text) =>
      element("span", {}, element("i", { style: `background:rgb(${color.join(",")})` }), text);
    return element("div", { class: "legend" }, entry(MISSING, error ? "missing ink" : "less ink than before"), entry(EXTRA, error ? "extra ink" : "more ink than before"));
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
    const speed = element(
      "select",
      { "aria-label": "Playing speed", title: "Playing speed", onchange: () => (this.rate = Number(speed.value)) },
      ...RATES.map((rate) => element("option", { value: rate, selected: rate === this.rate }, `${rate} frames/s`)),
    );
    const bar = element(
      "div",
      { class: "bar" },
      this.playButton,
      step(-1, TRANSPORT.back, "One frame back"),
      step(1, TRANSPORT.next, "One frame on"),
      element("span", { class: "count" }, element("span", {}, this.data.length < 100 ? "Frame " : ""), this.count),
      element("span", { class: "spring" }),
    );
    bar.append(speed, this.buildView(), enlarger(this, "the pictures"));
    return bar;
  }

  /* What only changes the look, and asks the server nothing. */
  buildView() {
    const option = (name, text, rebuild) => {
      const box = element("input", {
        type: "checkbox",
        name,
        checked: this.view[name],
        onchange: () => {
          this.view[name] = box.checked;
          if (rebuild) this.build();
          this.seek(this.frame);
          this.viewOpen.querySelector(`[name=${name}]`).focus(); // which may be a new one
        },
      });
      return element("label", {}, box, text);
    };
    const options = [
      option("loop", "Begin again at the end"),
      option("onion", "Onion skin: the two frames before shine through"),
      option("film", "All frames as film strips", true),
    ];
    if (this.data.panels.some((panel) => panel.difference)) {
      const box = option("sizes", "Error by its size alone, on an even colour scale");
      box.firstChild.addEventListener("change", () => {
        this.views.forEach(({ figure }, i) => {
          const panel = this.data.panels[i];
          if (panel.difference) figure.querySelector("figcaption").replaceChildren(this.legend(panel));
        });
        this.common.replaceChildren(this.legend(this.data.panels.find((panel) => panel.difference)));
        if (this.view.film) this.drawFilm();
      });
      options.push(box);
    }
    const open = this.viewOpen?.open ?? false;
    const menu = element("div", {}, ...options);
    this.viewOpen = element("details", { class: "view", open }, element("summary", {}, "View"), menu);
    this.viewOpen.ontoggle = () => this.viewOpen.open && menu.scrollIntoView({ block: "nearest" });
    return this.viewOpen;
  }

  pathSwitch() {
    const box = element("input", {
      type: "checkbox",
      checked: this.showPaths,
      onchange: () => {
        this.showPaths = box.checked;
        this.drawPaths();
      },
    });
    return element("label", { class: "badge", title: "Draw the line that the middle of each digit follows" }, box, "Show paths");
  }

  buildTime() {
    this.range = element("input", {
      type: "range",
      min: 0,
      max: this.data.length - 1,
      step: 1,
      "aria-label": "Frame",
      oninput: () => {
        this.pause();
        this.seek(Number(this.range.value));
      },
    });
    const time = element("div", { class: "time" }, this.range);
    if (this.data.given > 0) {
      this.spans = element("div", { class: "spans" });
      time.append(this.spans);
    }
    return time;
  }

  drawSpans() {
    const { given, length } = this.data;
    const part = (Math.max(given - 0.5, 0) / Math.max(length - 1, 1)) * 100;
    this.spans.replaceChildren(
      element("div", { style: `width:${part}%` }, `${given} given`),
      element("div", { class: "made", style: "flex:1" }, `${length - given} predicted`),
    );
  }

  // ----------------------------------------------------------------------------------------- clock

  schedule() {
    cancelAnimationFrame(this.request);
    if (!this.playing || !this.shown || !this.data) return;
    let last = performance.now();
    const tick = (now) => {
      const wait = 1000 / this.rate;
      if (now - last >= wait) {
        last = Math.max(last + wait, now - wait);
        if (this.frame + 1 < this.data.length || this.view.loop) this.seek((this.frame + 1) % this.data.length);
        else return this.pause();
      }
      this.request = requestAnimationFrame(tick);
    };
    this.request = requestAnimationFrame(tick);
  }

  toggle() {
    this.playing = !this.playing;
    if (this.playing && !this.view.loop && this.frame === this.data.length - 1) this.seek(0);
    this.labelPlay();
    this.schedule();
  }

  pause() {
    if (this.playing) this.toggle();
  }

  step(by) {
    this.pause();
    this.seek(Math.min(Math.max(this.frame + by, 0), this.data.length - 1));
  }

  /* Pictures alone, as large as the screen allows, and the keys to go through them. */
  present(on) {
    if (on === !!this.presenting) return;
    this.presenting = on;
    fillScreen(this.root, on);
    this.seek(this.frame);
    this.drawChart();
    this.fit();
  }

  /* Of all numbers of columns the one with the largest pictures that leave room for all words. */
  fit() {
    if (!this.presenting) return;
    const { root, zoomed } = this;
    const count = zoomed ? 1 : this.views.length;
    const gap = parseFloat(getComputedStyle(this.panels).columnGap);
    const width = root.offsetWidth - 2 * parseFloat(getComputedStyle(root).paddingLeft);
    const overflow = (columns, side) => {
      root.style.setProperty("--across", columns);
      root.style.setProperty("--side", `${side}px`);
      return root.scrollHeight - root.clientHeight;
    };
    this.say(this.data.length - 1); // the longest words there are
    let [across, side] = [Math.min(Math.max(Math.floor((width + gap) / (LEAST + gap)), 1), count), LEAST];
    for (let columns = 1; columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns);
      let wanted = Math.floor((width + gap) / columns - gap);
      let over;
      while (wanted > side && (over = overflow(columns, wanted)) > 0) wanted -= Math.ceil(over / rows);
      if (wanted > side) [across, side] = [columns, wanted];
    }
    overflow(across, side);
    this.say(this.frame);
  }

  /* The line of words below pictures that a class looks at. */
  say(frame) {
    const { given, length } = this.data;
    const part = given > 0 ? (frame < given ? ", given to the model" : ", predicted by the model on its own") : "";
    this.caption.replaceChildren(
      element("b", {}, `Frame ${frame + 1} of ${length}${part}`),
      element("span", {}, "Space: play and pause. Arrows: one frame. Escape: back."),
    );
  }

  labelPlay() {
    const [icon, text] = this.playing ? [TRANSPORT.pause, "Pause"] : [TRANSPORT.play, "Play"];
    this.playButton.innerHTML = `${icon} <span>${text}</span>`;
    this.playButton.setAttribute("aria-label", text);
    this.root.dataset.playing = String(this.playing);
  }

  key(event) {
    if (!this.data || event.ctrlKey || event.altKey || event.metaKey) return;
    const on = event.composedPath()[0]?.tagName;
    // A focused button, menu or slider keeps the keys that are its own.
    if (event.key === "Escape" && this.viewOpen.open) this.viewOpen.open = false;
    else if (event.key === "Escape" && this.presenting) this.present(false);
    else if (event.key.toLowerCase() === "f" && on !== "SELECT") this.present(!this.presenting);
    else if (event.key === " " && on !== "BUTTON" && on !== "SELECT" && on !== "SUMMARY" && event.composedPath()[0]?.type !== "checkbox") this.toggle();
    else if (on === "SELECT" || on === "INPUT") return;
    else if (event.key === "ArrowRight" || (this.presenting && event.key === "PageDown")) this.step(1); // a presenter's clicker sends the latter
    else if (event.key === "ArrowLeft" || (this.presenting && event.key === "PageUp")) this.step(-1);
    else if (event.key === "Home") this.step(-this.data.length);
    else if (event.key === "End") this.step(this.data.length);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // -------------------------------------------------------------------------------------- pictures

  seek(frame) {
    this.frame = frame;
    this.root.dataset.frame = String(frame);
    this.range.value = frame;
    this.range.setAttribute("aria-valuetext", `frame ${frame + 1} of ${this.data.length}`);
    this.count.textContent = `${frame + 1} / ${this.data.length}`;
    // as wide as the widest: else the line breaks anew as the numbers grow
    this.count.style.minWidth = `${2 * String(this.data.length).length + 2}ch`;
    if (this.presenting) this.say(frame);
    this.data.panels.forEach((panel, i) => this.drawPanel(panel, this.views[i]));
    this.moveMarkers();
    this.moveCursor();
    if (this.data.strip) this.markStrip();
    if (this.view.film) this.markFilm();
  }

  drawPanel(panel, view) {
    const { size, given } = this.data;
    const { context } = view;
    const sources = panel.difference ?? [panel.key];
    const there = sources.every((key) => this.has(key));
    context.clearRect(0, 0, size, size);
    view.waiting.hidden = there;
    if (panel.key === "truth" && given > 0) {
      const hidden = there ? "hidden from the model" : "";
      view.badge.textContent = this.frame < given ? "given to the model" : hidden;
    }
    if (!there) return;
    if (panel.difference) context.putImageData(this.subtract(panel, this.frame, context), 0, 0);
    else this.paint(context, panel.key, this.frame);
    if (this.view.onion && !panel.difference) this.ghosts(context, panel.key);
  }

  panel(key) {
    return this.data.panels.find((panel) => panel.key === key);
  }

  has(key, frame = this.frame) {
    const panel = this.panel(key);
    const at = frame - panel.first;
    return !!panel.sprite && at >= 0 && at < panel.sprite.count;
  }

  paint(context, key, frame) {
    const { size } = this.data;
    const panel = this.panel(key);
    const at = frame - panel.first;
    const x = (at % panel.sprite.columns) * size;
    const y = Math.floor(at / panel.sprite.columns) * size;
    context.drawImage(this.images[key], x, y, size, size, 0, 0, size, size);
  }

  pixels(context, key, frame) {
    const { size } = this.data;
    this.paint(context, key, frame);
    return context.getImageData(0, 0, size, size).data;
  }

  /* The frames before, fainter the older, where they are brighter than what is there. */
  ghosts(context, key) {
    context.globalCompositeOperation = "lighten";
    GHOSTS.forEach((amount, i) => {
      const frame = this.frame - GHOSTS.length + i;
      if (!this.has(key, frame)) return;
      context.globalAlpha = amount;
      this.paint(context, key, frame);
    });
    context.globalAlpha = 1;
    context.globalCompositeOperation = "source-over";
  }

  // Prediction minus truth on black: brightness is the size of the error, colour its sign.
  subtract(panel, frame, context) {
    const { size } = this.data;
    const [prediction, truth] = panel.difference;
    const made = this.pixels(context, prediction, frame);
    const real = this.pixels(context, truth, frame);
    const out = new ImageData(size, size);
    for (let i = 0; i < made.length; i += 4) {
      const error = (made[i] - real[i]) / 255;
      if (this.view.sizes) {
        out.data.set(SIZES[Math.round(Math.abs(error) * 255)], i);
        continue;
      }
      const color = error < 0 ? MISSING : EXTRA;
      const amount = Math.abs(error);
      for (let c = 0; c < 3; c += 1) out.data[i + c] = color[c] * amount;
      out.data[i + 3] = 255;
    }
    return out;
  }

  drawPaths() {
    const { panels, size } = this.data;
    panels.forEach((panel, i) => {
      const { screen } = this.views[i];
      screen.querySelector("svg")?.remove();
      if (!panel.paths.length || !this.showPaths) return;
      const lines = panel.paths.flatMap(({ color, points }) => [
        drawn("polyline", {
          points: points.map((point) => point.join(",")).join(" "),
          fill: "none", stroke: color, "stroke-width": 0.7, "stroke-linejoin": "round", opacity: 0.9,
        }),
        ...points.map(([x, y]) => drawn("circle", { cx: x, cy: y, r: 0.55, fill: color })),
        drawn("circle", { class: "marker", r: 1.5, fill: color, stroke: "#000", "stroke-width": 0.4 }),
      ]);
      screen.append(drawn("svg", { viewBox: `0 0 ${size} ${size}`, "aria-hidden": "true" }, ...lines));
    });
    this.moveMarkers();
  }

  moveMarkers() {
    this.data.panels.forEach((panel, i) => {
      this.views[i].screen.querySelectorAll(".marker").forEach((marker, digit) => {
        const [x, y] = panel.paths[digit].points[this.frame];
        set(marker, { cx: x, cy: y });
      });
    });
  }

  // ----------------------------------------------------------------------------------------- chart

  buildChart() {
    const { charts } = this.data;
    this.chartKey = charts.some((chart) => chart.key === this.chartKey) ? this.chartKey : charts[0].key;
    this.question = element("h3");
    this.hint = element("div", { class: "hint" });
    this.keys = element("div", { class: "keys" });
    const buttons = charts.map((chart) =>
      element(
        "button",
        {
          type: "button",
          "aria-pressed": String(chart.key === this.chartKey),
          onclick: () => {
            this.chartKey = chart.key;
            buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(charts[i].key === chart.key)));
            this.drawChart();
          },
        },
        chart.name,
      ),
    );
    this.svg = drawn("svg", { class: "chart", role: "img", height: 170 });
    const follow = (event) => {
      if (event.type === "pointermove" && event.buttons === 0) return;
      const { left } = this.svg.getBoundingClientRect();
      const frame = Math.round(this.scale.frame(event.clientX - left));
      this.pause();
      this.seek(Math.min(Math.max(frame, 0), this.data.length - 1));
    };
    this.svg.onpointerdown = (event) => {
      this.svg.setPointerCapture(event.pointerId);
      follow(event);
    };
    this.svg.onpointermove = follow;
    return [
      element("div", { class: "charthead" }, this.question, element("div", { class: "choice", role: "group", "aria-label": "Measure" }, ...buttons)),
      this.hint,
      this.keys,
      this.svg,
    ];
  }

  chart() {
    return this.data.charts.find((chart) => chart.key === this.chartKey) ?? this.data.charts[0];
  }

  drawChart() {
    if (!this.data.charts.length || !this.svg) return;
    const chart = this.chart();
    const { length, given } = this.data;
    const [left, right, top, height] = [46, 14, 10, 170];
    const width = Math.max(this.root.clientWidth - 4, 160);
    const bottom = height - 24;
    const ticks = niceTicks(shownValues(chart.lines));
    const [low, high] = [ticks[0], ticks[ticks.length - 1]];
    const span = Math.max(length - 1, 1);
    this.scale = {
      x: (frame) => left + (frame / span) * (width - left - right),
      // who knows more may leave the picture: the line runs along the edge then
      y: (value) => Math.min(Math.max(bottom - ((value - low) / (high - low)) * (bottom - top), top), bottom),
      frame: (x) => ((x - left) / (width - left - right)) * span,
      top,
      bottom,
    };
    const { x, y } = this.scale;
    const parts = ticks.flatMap((tick) => [
      drawn("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      drawn("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, format(tick)),
    ]);
    frameTicks(length, width).forEach((frame) =>
      parts.push(drawn("text", { x: x(frame), y: height - 6, "text-anchor": "middle" }, String(frame + 1))),
    );
    parts.push(drawn("text", { x: left - 8, y: height - 6, "text-anchor": "end" }, "Frame"));
    if (given > 0) {
      const edge = x(given - 0.5);
      parts.push(drawn("rect", { x: left, y: top, width: Math.max(edge - left, 0), height: bottom - top, fill: "var(--line)", opacity: 0.35 }));
      if (edge - left > 150)
        parts.push(drawn("text", { x: (left + edge) / 2, y: (top + bottom) / 2, "text-anchor": "middle" }, "given: nothing to measure"));
    }
    for (const line of [...chart.lines].reverse()) {
      const points = line.values.map((value, i) => `${x(chart.first + i).toFixed(1)},${y(value).toFixed(1)}`);
      parts.push(drawn("polyline", { class: `line ${line.emphasis}`, points: points.join(" ") }));
      if (points.length === 1) parts.push(drawn("circle", { class: `dot ${line.emphasis}`, cx: x(chart.first), cy: y(line.values[0]), r: 4 }));
    }
    this.cursor = drawn("line", { class: "cursor", y1: top, y2: bottom });
    this.dots = chart.lines.map((line) => drawn("circle", { class: `dot ${line.emphasis}`, r: 5 }));
    this.svg.replaceChildren(...parts, this.cursor, ...this.dots);
    set(this.svg, { viewBox: `0 0 ${width} ${height}`, "aria-label": `${chart.question} ${chart.hint}` });
    this.question.textContent = chart.question;
    this.hint.textContent = chart.hint;
    this.moveCursor();
  }

  moveCursor() {
    if (!this.cursor || !this.data.charts.length) return;
    const chart = this.chart();
    const at = this.frame - chart.first;
    const x = this.scale.x(this.frame);
    set(this.cursor, { x1: x, x2: x });
    chart.lines.forEach((line, i) => {
      const value = line.values[at];
      this.dots[i].style.display = value === undefined ? "none" : "";
      if (value !== undefined) set(this.dots[i], { cx: x, cy: this.scale.y(value) });
    });
    this.keys.replaceChildren(
      ...chart.lines.map((line) => {
        const value = line.values[at];
        const sample = drawn("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, drawn("line", { class: line.emphasis, x1: 0, x2: 26, y1: 4, y2: 4 }));
        if (value === undefined) return element("span", {}, sample, line.name);
        const exact = chart.exact !== null && value >= chart.exact;
        const said = exact ? "exact" : [value.toFixed(chart.digits), chart.unit].join(" ").trim();
        return element("span", {}, sample, `${line.name}: ${said}`);
      }),
    );
  }

  // ------------------------------------------------------------------------------------------ film

  /* All frames of every picture, one row each, with the edge between given and predicted. */
  buildFilm() {
    const { panels, length, size, given } = this.data;
    this.rows = panels.map((panel) => {
      const canvas = element("canvas", { width: length * size, height: size, role: "img", "aria-label": `${panel.title}: all frames` });
      return { canvas, row: element("div", { class: "row" }, element("span", {}, panel.title), canvas) };
    });
    this.now = element("div", { class: "now" });
    const film = element("div", { class: "reel", style: `--frames:${length}` }, ...this.rows.map(({ row }) => row), this.now);
    if (given > 0) film.append(element("div", { class: "edge", style: `--at:${given}`, title: "from here on predicted" }));
    film.onpointerdown = (event) => {
      const { left, width } = this.rows[0].canvas.getBoundingClientRect();
      const frame = Math.floor(((event.clientX - left) / width) * length);
      if (frame < 0 || frame >= length) return;
      this.pause();
      this.seek(frame);
    };
    return element("div", { class: "film" }, film);
  }

  drawFilm() {
    const { panels, length, size } = this.data;
    const spare = document.createElement("canvas");
    [spare.width, spare.height] = [size, size];
    const work = spare.getContext("2d", { willReadFrequently: true });
    panels.forEach((panel, i) => {
      const context = this.rows[i].canvas.getContext("2d");
      context.clearRect(0, 0, length * size, size);
      for (let frame = 0; frame < length; frame += 1) {
        if (!(panel.difference ?? [panel.key]).every((key) => this.has(key, frame))) continue;
        if (panel.difference) work.putImageData(this.subtract(panel, frame, work), 0, 0);
        else this.paint(work, panel.key, frame);
        context.drawImage(spare, frame * size, 0);
      }
    });
  }

  markFilm() {
    this.now.style.setProperty("--at", this.frame);
  }

  // ----------------------------------------------------------------------------------------- strip

  buildStrip() {
    const { length, size } = this.data;
    this.tiles = Array.from({ length }, (_, frame) => {
      const canvas = element("canvas", { width: size, height: size });
      const button = element(
        "button",
        {
          type: "button",
          tabindex: -1, // the slider is the way for keys
          "aria-label": `Frame ${frame + 1}`,
          onclick: () => {
            this.pause();
            this.seek(frame);
          },
        },
        canvas,
        String(frame + 1),
      );
      return { button, canvas };
    });
    return element(
      "div",
      { class: "strip" },
      element("h2", {}, "All frames"),
      element("div", { class: "frames" }, ...this.tiles.map((tile) => tile.button)),
    );
  }

  drawStrip() {
    const [{ key }] = this.data.panels;
    this.tiles.forEach(({ canvas }, frame) => this.paint(canvas.getContext("2d"), key, frame));
  }

  markStrip() {
    this.marked?.classList.remove("now");
    this.marked = this.tiles[this.frame].button;
    this.marked.classList.add("now");
  }
}

/* On a wide screen more than four pictures in a row would be too small for a class. */
const WIDE_COLUMNS = { 5: 3, 6: 3, 7: 4, 8: 4, 9: 5, 10: 5, 11: 4, 12: 4 };

/* On a phone: as large as a screen's height allows; three in a row only where there are many. */
const NARROW_COLUMNS = { 1: 1, 2: 2, 3: 3, 4: 2, 5: 2, 6: 2 };

/* What the axis has to show: all of the models' lines, and those of who knows more as far as they are near. */
function shownValues(lines) {
  const measured = lines.filter((line) => !line.may_leave).flatMap((line) => line.values);
  const [low, high] = [Math.min(...measured), Math.max(...measured)];
  const margin = 0.15 * (high - low);
  const others = lines.filter((line) => line.may_leave).flatMap((line) => line.values);
  return [...measured, ...others.map((value) => Math.min(Math.max(value, low - margin), high + margin))];
}

function niceTicks(values) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (!(high - low > 1e-9)) [low, high] = [low - 0.5, high + 0.5];
  const rough = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [];
  for (let tick = Math.floor(low / step + 1e-9); tick <= Math.ceil(high / step - 1e-9); tick += 1) ticks.push(tick * step);
  return ticks;
}

function format(value) {
  return String(Number(value.toPrecision(6)));
}

function frameTicks(length, width) {
  const room = Math.max(Math.floor(width / 40), 2);
  const step = [1, 5, 10, 20, 50, 100].find((size) => length / size <= room) ?? 200;
  const ticks = [0];
  for (let frame = step - 1; frame < length; frame += step) if (frame > 0) ticks.push(frame);
  return ticks;
}

const keep = keeper(Player);

export default function ({ parentElement, data: [data] }) {
  const [player, leave] = keep(parentElement.querySelector(".player"));
  player.update(data);
  return leave;
}
