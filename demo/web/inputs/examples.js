// The example pictures, which demo/ui/layout.py puts on the page as plain HTML.

import { h } from "../core/elements.js";

export class Examples {
  /** examples: in their order, from demo/ui/page_data.py. choose(photo): one of them. */
  constructor(examples, choose) {
    this.examples = examples;
    this.choose = choose;
    document.addEventListener("click", ({ target }) => {
      const example = target.closest?.("[data-example]");
      if (example) this.choose({ example: example.dataset.example });
    });
  }

  /** Marks the chosen one, and says what to notice. said: in a picture that is stepped to. */
  mark(photo, { title, caption } = {}) {
    for (const button of document.querySelectorAll("[data-example]")) {
      button.setAttribute("aria-pressed", String(button.dataset.example === photo?.example));
    }
    const said = [title && h("b", {}, title), caption && ` ${caption}`].filter(Boolean);
    document.querySelector(".example-caption").replaceChildren(...said);
  }

  /** What is known of a photo that is an example; undefined for any other. */
  of(photo) {
    return this.examples.find(({ name }) => name === photo?.example);
  }
}
