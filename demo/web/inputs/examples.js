// The example pictures, which demo/ui/layout.py puts on the page as plain HTML.

import { h } from "../core/elements.js";

export class Examples {
  /** examples: from demo/ui/page_data.py, in their order. choose(photo): called at a click on an example. */
  constructor(examples, choose) {
    this.examples = examples;
    this.choose = choose;
    document.addEventListener("click", ({ target }) => {
      const example = target.closest?.("[data-example]");
      if (example) this.choose({ example: example.dataset.example });
    });
  }

  /** Marks the chosen example. title, caption: of the current picture, to show below the examples. */
  mark(photo, { title, caption } = {}) {
    for (const button of document.querySelectorAll("[data-example]")) {
      button.setAttribute("aria-pressed", String(button.dataset.example === photo?.example));
    }
    const said = [title && h("b", {}, title), caption && ` ${caption}`].filter(Boolean);
    document.querySelector(".example-caption").replaceChildren(...said);
  }

  /** The example that a photo is; undefined if it is none. */
  of(photo) {
    return this.examples.find(({ name }) => name === photo?.example);
  }
}
