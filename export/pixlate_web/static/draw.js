// A canvas whose strokes become a picture after each stroke.

import { ask, key, make } from "./shared.js";
import { follow, latest } from "./strokes.js";

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
    this.send = latest(this, () => this.sendOnce());
    follow(this.canvas, () => {
      this.strokes.push({ width: Number(this.width.value), rubber: this.rubber.checked });
      return this.strokes.at(-1);
    }, () => this.redraw(), () => this.send());
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

  async sendOnce() {
    if (!this.strokes.length) { this.show(null); return; }
    const blob = await new Promise((done) => this.canvas.toBlob(done, "image/png"));
    const started = performance.now();
    try {
      const answer = await ask(`/pixlate/drawings/${await key()}?model=${encodeURIComponent(this.model.value)}`, { method: "POST", body: blob });
      this.show(await answer.blob(), blob);
      this.said.textContent = `${((performance.now() - started) / 1000).toFixed(2)} s`;
    } catch (error) {
      this.said.textContent = error.message;
    }
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

customElements.define("pixlate-draw", Draw);
