// A brush over a picture of the page: what is painted is what a model fills.

import { ask, key, make } from "./shared.js";
import { follow, latest } from "./strokes.js";

class Mask extends HTMLElement {
  connectedCallback() {
    if (this.canvas) return;
    this.strokes = {}; // of each picture, by its number
    this.canvas = make("canvas", { ariaLabel: "Paint over what is to be filled" });
    this.picture = make("img", { alt: "" });
    this.choice = make("select", { ariaLabel: "Picture to paint on", onchange: () => this.open() });
    this.width = make("select", { ariaLabel: "Brush" }, ...[["small", 0.015], ["medium", 0.04], ["large", 0.1]].map(([name, value]) => make("option", { value, selected: name === "medium" }, `${name} brush`)));
    this.rubber = make("input", { type: "checkbox" });
    this.said = make("p", { className: "px-note", role: "status" });
    const button = (text, action) => make("button", { type: "button", className: "px-small", onclick: action }, text);
    this.tools = make("div", {},
      make("div", { className: "px-row" }, this.choice, this.width, make("label", { className: "px-small" }, this.rubber, " rubber"),
        button("Undo", () => { this.own.pop(); this.redraw(); this.send(); }),
        button("Clear", () => { this.own.length = 0; this.redraw(); this.send(); })),
      make("div", { className: "px-mask" }, this.picture, this.canvas));
    this.append(this.tools, this.said);
    this.send = latest(this, () => this.sendOnce());
    follow(this.canvas, () => {
      this.own.push({ width: Number(this.width.value) * Math.max(this.canvas.width, this.canvas.height), rubber: this.rubber.checked });
      return this.own.at(-1);
    }, () => this.redraw(), () => this.send());
    this.changed = () => this.list();
    document.addEventListener("px-pictures", this.changed);
    this.list();
  }

  disconnectedCallback() { document.removeEventListener("px-pictures", this.changed); }

  list() {
    const items = [...document.querySelectorAll(".px-pictures li")], chosen = this.choice.value;
    this.choice.replaceChildren(...items.map((item) => make("option", { value: item.dataset.number }, item.dataset.name)));
    if (items.some((item) => item.dataset.number === chosen)) this.choice.value = chosen;
    this.tools.hidden = !items.length;
    this.said.textContent = items.length ? "" : "Drop a picture, then paint over what is to be filled.";
    if (items.length && this.choice.value !== this.shown) this.open();
    if (!items.length) this.shown = undefined;
  }

  async open() {
    this.shown = this.choice.value;
    const item = document.querySelector(`.px-pictures li[data-number="${this.shown}"]`);
    this.own = this.strokes[this.shown] ??= [];
    this.canvas.width = Number(item.dataset.width);
    this.canvas.height = Number(item.dataset.height);
    this.redraw();
    this.picture.src = `/pixlate/view/${await key()}/${this.shown}/source`;
  }

  redraw() {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "white";
    for (const { width, rubber, points } of this.own) {
      context.globalCompositeOperation = rubber ? "destination-out" : "source-over";
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of points) context.lineTo(...point);
      context.stroke();
    }
    context.globalCompositeOperation = "source-over";
  }

  // White where the brush was, black elsewhere, with no grey between.
  async file() {
    const { width, height } = this.canvas, mask = make("canvas", { width, height }), context = mask.getContext("2d");
    const pixels = this.canvas.getContext("2d").getImageData(0, 0, width, height);
    for (let place = 0; place < pixels.data.length; place += 4) {
      pixels.data.fill(pixels.data[place + 3] >= 128 ? 255 : 0, place, place + 3);
      pixels.data[place + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    return new Promise((done) => mask.toBlob(done, "image/png"));
  }

  async sendOnce() {
    try {
      await ask(`/pixlate/masks/${await key()}/${this.shown}`, { method: "POST", body: await this.file() });
      this.said.textContent = "";
    } catch (error) {
      this.said.textContent = error.message;
    }
  }
}

customElements.define("pixlate-mask", Mask);
