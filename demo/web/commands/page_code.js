// A dialog with the page's address as a large QR code, for an audience to scan.

import { h } from "../core/elements.js";
import { dialog } from "../dom.js";
import { pageCode } from "../requests.js";

export class PageCode {
  constructor() {
    this.code = h("img", { alt: "QR code of the address below", hidden: true });
    this.text = h("p", { class: "where", role: "status" });
    this.element = dialog("This view on your phone", this.code, this.text);
    this.element.classList.add("page-code");
  }

  /** link: a link to this view. note: a sentence on what the link cannot carry. */
  async show(link, note) {
    this.code.hidden = true;
    this.text.textContent = "…";
    this.element.showModal();
    const { address, code, problem } = await pageCode(link);
    this.text.replaceChildren(problem ?? address, note && !problem ? h("small", {}, note) : "");
    if (!code) return;
    this.code.src = code;
    this.code.hidden = false;
  }
}
