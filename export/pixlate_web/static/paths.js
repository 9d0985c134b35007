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

customElements.define("pixlate-paths", Paths);
