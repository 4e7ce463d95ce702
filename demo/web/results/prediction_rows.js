// The rows of a network's predictions: buttons with the class, its probability, and a bar.

import { h, shareBar } from "../core/elements.js";
import { percentage } from "../core/numbers.js";

const BLANK = "\u00a0";

export class PredictionRow {
  /** attributes: of the button, such as its click handler. */
  constructor(attributes) {
    this.name = h("span", { class: "name", dir: "auto" });
    this.probability = h("span", { class: "probability" });
    this.bar = shareBar(0);
    this.button = h("button", { type: "button", ...attributes }, this.name, this.probability, this.bar);
    this.item = h("li", {}, this.button);
  }

  clear() {
    this.button.disabled = true;
    this.button.removeAttribute("aria-pressed");
    this.name.textContent = this.probability.textContent = BLANK;
    this.bar.style.setProperty("--share", 0);
  }

  show({ name, probability }, isExplained) {
    this.button.disabled = false;
    this.button.setAttribute("aria-pressed", String(isExplained));
    this.name.textContent = this.button.title = name;
    this.probability.textContent = percentage(probability);
    this.bar.style.setProperty("--share", probability);
  }
}
