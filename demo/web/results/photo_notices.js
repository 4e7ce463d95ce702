// The notices on how the photo was read, and a form to choose another range of its values to show.

import { h } from "../core/elements.js";

const NO_RANGE = "Enter two numbers, the lower one first: the values at the two ends of the grey scale.";

export class PhotoNotices {
  /** photo(): the chosen photo. window(): the range that the visitor has chosen, [low, high], or null.
   * choose(window): changes it. */
  constructor({ photo, window, choose }) {
    Object.assign(this, { photo, window, choose });
    const field = (label) => h("input", { type: "number", step: "any", required: true, "aria-label": label });
    this.low = field("Lowest value shown");
    this.high = field("Highest value shown");
    const button = (text, title, act) => h("button", { type: "button", class: "action", title, onclick: act }, text);
    this.automatic = button("Automatic", "The range given in the file, or else all of its values", () => this.take(null));
    this.full = button("Full range", "From the lowest to the highest value", () => this.take(this.all));
    this.problem = h("p", { class: "problem", role: "alert" });
    this.sentences = h("div", { role: "status" });
    this.form = h(
      "form",
      { novalidate: true, hidden: true, "aria-label": "Brightness" },
      h("span", { class: "limits" }, "Values from", this.low, "to", this.high),
      h("button", { type: "submit", class: "action" }, "Show"),
      this.automatic,
      this.full,
      this.problem,
    );
    this.form.addEventListener("input", () => (this.typedFor = this.photo()));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.take([this.low, this.high].map((input) => input.valueAsNumber));
    });
    this.element = h("div", { class: "photo-notices" }, this.sentences, this.form);
  }

  /** photo: as the server sends it, or null for none. */
  show(photo) {
    this.sentences.replaceChildren(...(photo?.notices ?? []).map((sentence) => h("p", {}, sentence)));
    const { brightness } = photo ?? {};
    this.form.hidden = !brightness;
    // Does not overwrite what a visitor types while the previous range is still being applied.
    const isTyped = brightness && this.typedFor && this.typedFor === this.photo();
    if (!isTyped) this.problem.textContent = "";
    if (!brightness) return;
    const { low, high, lowest, highest } = brightness;
    this.all = lowest < highest ? [lowest, highest] : null;
    if (!isTyped) [this.low.value, this.high.value] = [low ?? lowest, high ?? highest];
    this.mark();
  }

  /** Marks the buttons that would change nothing. They are not disabled, so that they keep the focus. */
  mark() {
    const chosen = this.window();
    this.automatic.setAttribute("aria-pressed", String(chosen === null));
    this.full.setAttribute("aria-pressed", String(String(chosen) === String(this.all)));
    this.full.disabled = this.all === null;
  }

  take(window) {
    const isRange = window === null || (window.every(Number.isFinite) && window[0] < window[1]);
    this.problem.textContent = isRange ? "" : NO_RANGE;
    if (!isRange) {
      this.low.focus();
      return;
    }
    this.typedFor = null;
    this.choose(window);
    this.mark();
  }
}
