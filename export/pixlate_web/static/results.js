// The results of a conversion, of which one is compared with its source.

import { make } from "./shared.js";

const chosen = new Map();  // list of results -> the one that is shown large; lists are made again with each result

class Results extends HTMLElement {
  static observedAttributes = ["data-results"];

  // Gradio changes the element that is there: first its attributes, then it takes out what is in it.
  attributeChangedCallback() { queueMicrotask(() => this.fill()); }

  fill() {
    const { list, items, all } = JSON.parse(this.dataset.results);
    const place = make("div");
    const rows = make("ul", { className: "px-results" });
    const show = (item, row) => {
      chosen.set(list, item.name);
      for (const each of rows.children) each.classList.toggle("px-chosen", each === row);
      place.replaceChildren(item.film
        ? make("video", { className: "px-film", src: item.film, controls: true, playsInline: true })
        : make("pixlate-compare", { source: item.before, output: item.after, width: item.width, height: item.height }));
    };
    let open = null;
    for (const item of items) {
      const row = make("li", { className: `px-${item.status.replaceAll(" ", "-")}` });
      const text = item.text ? ` ${item.text}` : "";
      if (item.after || item.film) {
        row.append(make("button", { type: "button", className: "px-name", onclick: () => show(item, row) }, make("b", {}, item.name), text));
        if (item.download) row.append(make("a", { href: item.download, className: "px-small", download: "" }, "Download"));
        if (!open || chosen.get(list) === item.name) open = [item, row];
      } else {
        row.append(make("span", {}, make("b", {}, item.name), text));
      }
      rows.append(row);
    }
    this.replaceChildren(place, rows);
    if (all) this.append(make("a", { href: all, className: "px-small px-all", download: "" }, "Download all as a zip"));
    if (open) show(...open);
  }
}

customElements.define("pixlate-results", Results);
