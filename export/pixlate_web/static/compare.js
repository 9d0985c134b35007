import { make } from "./shared.js";

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
    // Two fingers zoom here, and do not scroll the page.
    this.frame.addEventListener("touchstart", (event) => { if (event.touches.length > 1) event.preventDefault(); }, { passive: false });
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
    this.sliding = this.pointers.size === 1 && (this.fitted || Math.abs(event.clientX - box.left - this.split) < 24);
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

customElements.define("pixlate-compare", Compare);
