// A dialog with a link to this view, and a note on what the link cannot carry.

import { h } from "../core/elements.js";
import { copied, dialog } from "../dom.js";

const LINK_OF_UPLOAD =
  "The link cannot carry an uploaded photo. Whoever opens it sees an example until they choose that photo.";
const LINK_OF_ALL = "Whoever opens the link sees the same picture, networks, class and map.";
const LINK_WITHOUT_PHOTO = "No photo is chosen yet. The link carries the other choices.";

/** A sentence on what a link to this photo carries, or cannot carry. */
export function noteOnLink(photo) {
  if (!photo) return LINK_WITHOUT_PHOTO;
  return photo.upload ? LINK_OF_UPLOAD : LINK_OF_ALL;
}

export class ShareDialog {
  constructor() {
    this.link = h("input", { type: "text", readonly: true, "aria-label": "Link to this view" });
    this.note = h("p", { class: "subtle" });
    this.done = h("p", { class: "subtle", role: "status" });
    const copy = h("button", { type: "button", class: "action primary", onclick: () => this.copy() }, "Copy the link");
    this.element = dialog("Share this view", h("div", { class: "link" }, this.link, copy), this.note, this.done);
  }

  show(address, note) {
    this.link.value = address;
    this.note.textContent = note;
    this.done.textContent = "";
    this.element.showModal();
    this.link.select();
  }

  async copy() {
    this.link.select();
    const isCopied = await copied(this.link.value);
    this.done.textContent = isCopied ? "Copied." : "The link is selected: copy it with Ctrl+C.";
  }
}
