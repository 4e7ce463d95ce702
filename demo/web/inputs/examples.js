// The example pictures, which demo/ui/layout.py puts on the page as plain HTML.

import { h } from "../core/elements.js";

export class Examples {
  /** examples: in their order, from demo/ui/page_data.py. choose(photo): one of them. */
  constructor(examples, choose) {
    this.examples = examples;
    this.names = examples.map(({ name }) => name);
    this.choose = choose;
    document.addEventListener("click", ({ target }) => {
      const example = target.closest?.("[data-example]");
      if (example) this.choose({ example: example.dataset.example });
    });
  }

  /** Marks the chosen one, and says what to notice in it. */
  mark(photo) {
    for (const button of document.querySelectorAll("[data-example]")) {
      button.setAttribute("aria-pressed", String(button.dataset.example === photo?.example));
    }
    const { title, caption } = this.of(photo) ?? {};
    const said = title ? [h("b", {}, title), " ", caption] : [];
    document.querySelector(".example-caption").replaceChildren(...said);
  }

  /** What is known of a photo that is an example; undefined for any other. */
  of(photo) {
    return this.examples.find(({ name }) => name === photo?.example);
  }

  /** The one before or after a photo; the first or last, if that is none of them. */
  step(photo, by) {
    const { names } = this;
    const at = names.indexOf(photo?.example);
    const next = at < 0 ? (by > 0 ? 0 : names.length - 1) : (at + by + names.length) % names.length;
    this.choose({ example: names[next] });
  }
}
