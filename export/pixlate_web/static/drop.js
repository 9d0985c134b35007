// Pictures that are dropped, pasted, chosen or taken with the camera, and sent within the limits of the server.

import { photograph } from "./camera.js";
import { ask, key, make } from "./shared.js";

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
    const item = make("li", { "data-number": picture.number, "data-name": picture.name, "data-width": picture.width, "data-height": picture.height },
      make("img", { src: `/pixlate/view/${session}/${picture.number}/source`, alt: "", loading: "lazy" }),
      make("span", {}, make("b", {}, picture.name), ` ${picture.width}x${picture.height}`),
      make("button", { type: "button", title: "Take it off the page", ariaLabel: `Take ${picture.name} off`, onclick: () => this.remove_(item) }, "×"));
    this.list.append(item);
    this.clear.hidden = false;
    document.dispatchEvent(new Event("px-pictures"));
  }

  async remove_(item) {
    try {
      await ask(`/pixlate/pictures/${await key()}/${item.dataset.number}`, { method: "DELETE" });
      item.remove();
      document.dispatchEvent(new Event("px-pictures"));
    } catch (error) {
      this.problems.replaceChildren(make("li", {}, error.message));
    }
    this.clear.hidden = !this.list.children.length;
  }

  async removeAll() { for (const item of [...this.list.children]) await this.remove_(item); }

  async camera() {
    try {
      const file = await photograph();
      if (file) this.take([file]);
    } catch (error) {
      this.problems.replaceChildren(make("li", {}, `The camera cannot be used (${error.message}); allow it in the browser, or choose a file.`));
    }
  }
}

customElements.define("pixlate-drop", Drop);
