// What Gradio has no part for: dropping files within limits, comparing at full resolution, and a canvas that answers after each stroke.

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function key() {
  for (;;) {
    const found = document.querySelector("[data-session]");
    if (found) return found.dataset.session;
    await pause(50);
  }
}

function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// The server's sentence, or one for a server that is not there.
async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer; see whether `pixlate web` still runs, and load the page again.");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let sentence = text;
  try {
    sentence = JSON.parse(text).error || text;
  } catch {}
  throw new Error(sentence);
}

const inMillions = (width, height) => `${width}x${height}`;

class Drop extends HTMLElement {
  connectedCallback() {
    if (this.input) return;
    this.input = make("input", { type: "file", multiple: true, accept: this.dataset.accept, hidden: true, "data-testid": "pictures" });
    this.input.addEventListener("change", () => { this.take([...this.input.files]); this.input.value = ""; });
    this.list = make("ul", { className: "px-pictures" });
    this.problems = make("ul", { className: "px-problems", role: "alert" });
    this.busy = make("p", { className: "px-note", ariaLive: "polite" });
    const choose = make("button", { type: "button", className: "px-drop", onclick: () => this.input.click() },
      make("strong", {}, "Drop pictures here"), make("span", {}, "or click to choose, or paste"));
    for (const name of ["dragover", "dragenter"]) this.addEventListener(name, (event) => { event.preventDefault(); choose.classList.add("px-over"); });
    for (const name of ["dragleave", "drop"]) this.addEventListener(name, () => choose.classList.remove("px-over"));
    this.addEventListener("drop", (event) => { event.preventDefault(); this.take([...event.dataTransfer.files]); });
    this.onpaste = (event) => {
      const files = [...event.clipboardData.files];
      if (files.length && this.offsetParent !== null) { event.preventDefault(); this.take(files); }
    };
    document.addEventListener("paste", this.onpaste);
    const row = make("div", { className: "px-row" });
    if (navigator.mediaDevices) row.append(make("button", { type: "button", className: "px-small", onclick: () => this.camera() }, "Camera"));
    this.clear = make("button", { type: "button", className: "px-small", hidden: true, onclick: () => this.removeAll() }, "Take all off");
    row.append(this.clear);
    this.append(this.input, choose, row, this.busy, this.problems, this.list);
  }

  disconnectedCallback() { document.removeEventListener("paste", this.onpaste); }

  async take(files) {
    this.problems.replaceChildren();
    this.waiting = [...(this.waiting || []), ...files];
    if (this.sending) return;
    this.sending = true;
    const session = await key();
    for (let count = 1; this.waiting.length; count += 1) {
      const file = this.waiting.shift();
      this.busy.textContent = `Taking in ${file.name} (${this.waiting.length} more) …`;
      try {
        const answer = await ask(`/pixlate/pictures/${session}?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
        this.show(session, await answer.json());
      } catch (error) {
        this.problems.append(make("li", {}, `${file.name}: ${error.message}`));
      }
    }
    this.busy.textContent = "";
    this.sending = false;
  }

  show(session, picture) {
    const item = make("li", { "data-number": picture.number },
      make("img", { src: `/pixlate/view/${session}/${picture.number}/source`, alt: "", loading: "lazy" }),
      make("span", {}, make("b", {}, picture.name), ` ${inMillions(picture.width, picture.height)}`),
      make("button", { type: "button", title: "Take it off the page", ariaLabel: `Take ${picture.name} off`, onclick: () => this.remove_(item) }, "×"));
    this.list.append(item);
    this.clear.hidden = false;
  }

  async remove_(item) {
    try {
      await ask(`/pixlate/pictures/${await key()}/${item.dataset.number}`, { method: "DELETE" });
      item.remove();
    } catch (error) {
      this.problems.replaceChildren(make("li", {}, error.message));
    }
    this.clear.hidden = !this.list.children.length;
  }

  async removeAll() { for (const item of [...this.list.children]) await this.remove_(item); }

  async camera() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 4096 }, height: { ideal: 4096 } } });
    } catch (error) {
      this.problems.replaceChildren(make("li", {}, `The camera cannot be used (${error.message}); allow it in the browser, or choose a file.`));
      return;
    }
    const video = make("video", { srcObject: stream, autoplay: true, muted: true, playsInline: true });
    const dialog = make("dialog", { className: "px-camera" });
    const end = () => { stream.getTracks().forEach((track) => track.stop()); dialog.remove(); };
    const shoot = () => {
      const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => { end(); this.take([new File([blob], "camera.png", { type: "image/png" })]); }, "image/png");
    };
    dialog.append(video, make("div", { className: "px-row" },
      make("button", { type: "button", className: "px-small", onclick: shoot }, "Take the picture"),
      make("button", { type: "button", className: "px-small", onclick: end }, "Close")));
    dialog.addEventListener("close", end);
    document.body.append(dialog);
    dialog.showModal();
  }
}

// Before and after, one over the other, at any zoom up to single pixels.
class Compare extends HTMLElement {
  connectedCallback() {
    if (this.frame) return;
    const picture = (name) => make("img", { src: this.getAttribute(name), alt: name, draggable: false });
    this.width = Number(this.getAttribute("width"));
    this.height = Number(this.getAttribute("height"));
    this.output = picture("output");
    this.source = picture("source");
    this.clip = make("div", { className: "px-clip" }, this.source);
    this.line = make("div", { className: "px-line" });
    this.frame = make("div", { className: "px-frame", tabIndex: 0 }, this.output, this.clip, this.line,
      make("span", { className: "px-label px-left" }, "before"), make("span", { className: "px-label px-right" }, "after"));
    this.frame.style.aspectRatio = `${this.width} / ${this.height}`;
    this.slider = make("input", { type: "range", min: 0, max: 100, step: 0.1, value: 50, ariaLabel: "How much of the picture before is shown", oninput: () => this.draw() });
    this.scale = make("output", { className: "px-note" });
    const button = (text, title, action) => make("button", { type: "button", className: "px-small", title, onclick: action }, text);
    this.append(this.frame, make("div", { className: "px-row" }, this.slider,
      button("−", "Smaller", () => this.zoomBy(1 / 1.5)), button("+", "Larger", () => this.zoomBy(1.5)),
      button("Fit", "All of the picture", () => this.fit()), button("1:1", "One pixel of the picture for one of the screen", () => this.actual()), this.scale));
    this.pointers = new Map();
    this.frame.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && this.zoom <= this.least && event.deltaY > 0) return;  // the page scrolls on
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 400), event);
    }, { passive: false });
    this.frame.addEventListener("pointerdown", (event) => this.press(event));
    this.frame.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) this.frame.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    this.frame.addEventListener("dblclick", (event) => (this.zoom > this.least * 1.01 ? this.fit() : this.actual(event)));
    this.watcher = new ResizeObserver(() => (this.fitted === false ? this.draw() : this.fit()));
    this.watcher.observe(this.frame);
    this.fit();
  }

  disconnectedCallback() { this.watcher?.disconnect(); }

  get least() { return Math.min(this.frame.clientWidth / this.width, this.frame.clientHeight / this.height) || 1; }
  get split() { return (this.slider.value / 100) * this.frame.clientWidth; }

  fit() { this.zoom = this.least; this.x = this.y = 0; this.fitted = true; this.draw(); }
  actual(event) { this.zoomBy(1 / window.devicePixelRatio / this.zoom, event); }

  zoomBy(factor, at) {
    const box = this.frame.getBoundingClientRect();
    const x = (at ? at.clientX - box.left : box.width / 2) - this.left, y = (at ? at.clientY - box.top : box.height / 2) - this.top;
    const zoom = Math.min(32, Math.max(Math.min(this.least, 1 / window.devicePixelRatio), this.zoom * factor));
    this.x += x - (x * zoom) / this.zoom;
    this.y += y - (y * zoom) / this.zoom;
    this.zoom = zoom;
    this.fitted = zoom <= this.least;
    this.draw();
  }

  // Where the picture begins in the frame: in its middle where it is smaller.
  get left() { return (this.frame.clientWidth - this.width * this.zoom) / 2 + this.x; }
  get top() { return (this.frame.clientHeight - this.height * this.zoom) / 2 + this.y; }

  press(event) {
    this.frame.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    const box = this.frame.getBoundingClientRect();
    this.sliding = this.fitted || Math.abs(event.clientX - box.left - this.split) < 24;
    if (this.sliding) this.move(event);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const box = this.frame.getBoundingClientRect();
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, pointer]) => pointer);
      const distance = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
      this.zoomBy(distance(event) / Math.max(1, distance(before)), middle);
    } else if (this.sliding) {
      this.slider.value = ((event.clientX - box.left) / box.width) * 100;
    } else {
      this.x += event.clientX - before.clientX;
      this.y += event.clientY - before.clientY;
    }
    this.pointers.set(event.pointerId, event);
    this.draw();
  }

  draw() {
    const free = (side, frame) => Math.max(0, (side * this.zoom - frame) / 2);
    const within = (value, most) => Math.min(most, Math.max(-most, value));
    this.x = within(this.x, free(this.width, this.frame.clientWidth));
    this.y = within(this.y, free(this.height, this.frame.clientHeight));
    for (const image of [this.source, this.output]) {
      image.style.width = `${this.width * this.zoom}px`;
      image.style.height = `${this.height * this.zoom}px`;
      image.style.transform = `translate(${this.left}px, ${this.top}px)`;
      image.style.imageRendering = this.zoom * window.devicePixelRatio >= 3 ? "pixelated" : "auto";
    }
    this.clip.style.width = `${this.slider.value}%`;
    this.line.style.left = `${this.slider.value}%`;
    this.frame.style.touchAction = this.fitted ? "pan-y" : "none";
    this.scale.textContent = `${Math.round(this.zoom * window.devicePixelRatio * 100)} %`;
  }
}

const chosen = new Map();  // list of results -> the one that is compared; lists are made again with each result

class Results extends HTMLElement {
  static observedAttributes = ["data-results"];

  // Gradio changes the element that is there: first its attributes, then it takes out what is in it.
  attributeChangedCallback() { queueMicrotask(() => this.fill()); }

  fill() {
    const { list, items, all } = JSON.parse(this.dataset.results);
    const place = make("div");
    const rows = make("ul", { className: "px-results" });
    const compare = (item, row) => {
      chosen.set(list, item.name);
      for (const each of rows.children) each.classList.toggle("px-chosen", each === row);
      place.replaceChildren(make("pixlate-compare", { source: item.before, output: item.after, width: item.width, height: item.height }));
    };
    let open = null;
    for (const item of items) {
      const row = make("li", { className: `px-${item.status.replaceAll(" ", "-")}` });
      const text = item.text ? ` ${item.text}` : "";
      if (item.after) {
        row.append(make("button", { type: "button", className: "px-name", onclick: () => compare(item, row) }, make("b", {}, item.name), text));
        if (item.download) row.append(make("a", { href: item.download, className: "px-small", download: "" }, "Download"));
        if (!open || chosen.get(list) === item.name) open = [item, row];
      } else {
        row.append(make("span", {}, make("b", {}, item.name), text));
      }
      rows.append(row);
    }
    this.replaceChildren(place, rows);
    if (all) this.append(make("a", { href: all, className: "px-small px-all", download: "" }, "Download all as a zip"));
    if (open) compare(...open);
  }
}

class Draw extends HTMLElement {
  connectedCallback() {
    if (this.canvas) return;
    const models = JSON.parse(this.dataset.models);
    this.side = 512;
    this.strokes = [];
    this.canvas = make("canvas", { width: this.side, height: this.side, className: "px-paper", ariaLabel: "Draw here" });
    this.picture = make("img", { className: "px-paper", alt: "What the model makes of the drawing", hidden: true });
    this.empty = make("p", { className: "px-note" }, "Draw on the left; the picture comes after each stroke.");
    this.said = make("p", { className: "px-note", role: "status" });
    this.model = make("select", { ariaLabel: "Drawing model", onchange: () => this.send() }, ...models.map(([name, summary]) => make("option", { value: name }, `${name}: ${summary}`)));
    this.width = make("select", { ariaLabel: "Pen" }, ...[["thin", 3], ["medium", 6], ["thick", 12]].map(([name, value]) => make("option", { value, selected: value === 6 }, `${name} pen`)));
    this.rubber = make("input", { type: "checkbox" });
    const button = (text, action) => make("button", { type: "button", className: "px-small", onclick: action }, text);
    this.save = make("a", { className: "px-small", download: "drawing.png", hidden: true }, "Download the picture");
    this.keep = make("a", { className: "px-small", download: "lines.png", hidden: true }, "Download the drawing");
    this.append(
      make("div", { className: "px-row" }, this.model),
      make("div", { className: "px-row" }, this.width, make("label", { className: "px-small" }, this.rubber, " rubber"),
        button("Undo", () => { this.strokes.pop(); this.redraw(); this.send(); }),
        button("Clear", () => { this.strokes = []; this.redraw(); this.send(); })),
      make("div", { className: "px-pair" }, this.canvas, make("div", { className: "px-side" }, this.picture, this.empty)),
      make("div", { className: "px-row" }, this.save, this.keep), this.said);
    this.redraw();
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.stroke = { width: Number(this.width.value), rubber: this.rubber.checked, points: [this.at(event)] };
      this.strokes.push(this.stroke);
      this.redraw();
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!this.stroke) return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) this.stroke.points.push(this.at(each));
      this.redraw();
    });
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => { if (this.stroke) { this.stroke = null; this.send(); } });
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.side, ((event.clientY - box.top) / box.height) * this.side];
  }

  redraw() {
    const context = this.canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, this.side, this.side);
    context.lineCap = context.lineJoin = "round";
    for (const { width, rubber, points } of this.strokes) {
      context.strokeStyle = rubber ? "white" : "black";
      context.lineWidth = rubber ? 4 * width : width;
      context.beginPath();
      context.moveTo(...points[0]);
      for (let index = 1; index < points.length - 1; index += 1) {
        const [x, y] = points[index], [nextX, nextY] = points[index + 1];
        context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
      }
      context.lineTo(...points[points.length - 1]);
      context.stroke();
    }
  }

  // One drawing is on its way at a time; what was drawn meanwhile is sent after it, only as it is then.
  async send() {
    if (this.sending) { this.stale = true; return; }
    this.sending = true;
    do {
      this.stale = false;
      if (!this.strokes.length) { this.show(null); continue; }
      const blob = await new Promise((done) => this.canvas.toBlob(done, "image/png"));
      const started = performance.now();
      try {
        const answer = await ask(`/pixlate/drawings/${await key()}?model=${encodeURIComponent(this.model.value)}`, { method: "POST", body: blob });
        this.show(await answer.blob(), blob);
        this.said.textContent = `${((performance.now() - started) / 1000).toFixed(2)} s`;
      } catch (error) {
        this.said.textContent = error.message;
      }
    } while (this.stale);
    this.sending = false;
  }

  show(blob, drawing) {
    for (const each of [this.save, this.keep]) if (each.href) URL.revokeObjectURL(each.href);
    for (const each of [this.save, this.keep, this.picture]) each.hidden = !blob;
    this.empty.hidden = Boolean(blob);
    this.said.textContent = "";
    if (!blob) return;
    this.save.href = this.picture.src = URL.createObjectURL(blob);
    this.keep.href = URL.createObjectURL(drawing);
  }
}

// Whole paths of folders that a part of the page shows by their names, where the pointer rests.
class Paths extends HTMLElement {
  connectedCallback() {
    const paths = JSON.parse(this.dataset.paths);
    this.show = (event) => {
      const part = event.target.closest?.(`#${this.dataset.of}`);
      const name = part && (event.target.closest("[role=option]")?.getAttribute("aria-label") ?? part.querySelector("input")?.value);
      if (part) event.target.title = paths[name] ?? "";
    };
    document.addEventListener("mouseover", this.show);
  }

  disconnectedCallback() { document.removeEventListener("mouseover", this.show); }
}

customElements.define("pixlate-drop", Drop);
customElements.define("pixlate-paths", Paths);
customElements.define("pixlate-compare", Compare);
customElements.define("pixlate-results", Results);
customElements.define("pixlate-draw", Draw);
