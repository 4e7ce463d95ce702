// A message at the bottom of the page that disappears after a while.

import { h } from "./core/elements.js";

const SHOWN_MS = 8000;

export class Toast {
  constructor() {
    this.element = h("p", { class: "toast", role: "status" });
  }

  /** retry: what a button does that tries once more. isLasting: until `end`. */
  show(text, { retry, isLasting = false } = {}) {
    const again = retry && h("button", { type: "button", class: "action", onclick: retry }, "Try again");
    this.element.replaceChildren(text, again || "");
    clearTimeout(this.timer);
    if (text && !isLasting) this.timer = setTimeout(() => this.show(""), SHOWN_MS);
  }

  /** Removes this message, unless another one has replaced it. */
  end(text) {
    if (this.element.textContent === text) this.show("");
  }
}
