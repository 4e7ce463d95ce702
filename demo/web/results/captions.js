// A button that copies the captions of the shown maps, for use under these figures in a text.

import { h } from "../core/elements.js";
import { copied } from "../dom.js";

export class Captions {
  /** captions(): the captions of the shown maps. */
  constructor(captions) {
    this.captions = captions;
    this.done = h("span", { class: "subtle", role: "status" });
    this.text = h("textarea", { readonly: true, rows: 6, hidden: true, "aria-label": "Captions" });
    const button = h("button", { type: "button", class: "action", onclick: () => this.copy() }, "Copy captions");
    this.element = h("div", { class: "captions", hidden: true }, button, this.done, this.text);
  }

  /** Removes the message about an earlier copy. isThere: whether there is something to copy. */
  reset(isThere) {
    this.element.hidden = !isThere;
    this.text.hidden = true;
    this.done.textContent = "";
  }

  async copy() {
    this.reset(true);
    const text = this.captions().join("\n\n");
    if (await copied(text)) {
      this.done.textContent = "Copied";
      return;
    }
    this.text.value = text;
    this.text.hidden = false;
    this.text.focus();
    this.text.select();
    this.done.textContent = "The captions are selected: copy them with Ctrl+C.";
  }
}
