// The example pictures, which demo/ui/layout.py puts on the page as plain HTML.

import { h } from "../core/elements.js";

export class Examples {
  /** examples: in their order, from demo/ui/page_data.py. choose(photo): one of them. step(by): to the next picture, or back. */
  constructor(examples, choose, step) {
    this.examples = examples;
    this.choose = choose;
    this.caption = document.querySelector(".example-caption");
    const button = (text, label, by) => h("button", { type: "button", class: "action", "aria-label": label, onclick: () => step(by) }, text);
    this.stepper = h("div", { class: "stepper", hidden: true }, button("←", "Previous picture", -1), button("→", "Next picture", 1));
    this.caption.after(this.stepper);
    document.addEventListener("click", ({ target }) => {
      const example = target.closest?.("[data-example]");
      if (example) this.choose({ example: example.dataset.example });
    });
  }

  /** Marks the chosen one, and says what to notice. position: which of how many it is, if there are buttons to go on. */
  mark(photo, { title, caption } = {}, position = "") {
    for (const button of document.querySelectorAll("[data-example]")) {
      button.setAttribute("aria-pressed", String(button.dataset.example === photo?.example));
    }
    const said = [title && h("b", {}, title), caption && ` ${caption}`, title && position && ` ${position}`].filter(Boolean);
    this.caption.replaceChildren(...said);
    this.stepper.hidden = !position;
  }

  /** The example that a photo is; undefined if it is none. */
  of(photo) {
    return this.examples.find(({ name }) => name === photo?.example);
  }
}
