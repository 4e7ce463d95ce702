// Presentation: only the maps, with large labels and numbered predictions, as large as the screen lets
// them be, in one row where that is wide; the photo in a corner on a key.

import { h } from "../core/elements.js";
import { iconButton } from "../dom.js";
import { CoverOutlines } from "./covers.js";

const GAP = 24; // pixels between pictures
const WIDE = 1.1; // so many times wider than high a screen has one row

export class Presentation {
  /** root: what fills the screen; grid: the element whose tiles are laid out. */
  constructor(root, grid) {
    this.root = root;
    this.grid = grid;
    this.photo = h("img", { alt: "The photo" });
    this.outlines = new CoverOutlines();
    this.tile = h(
      "section",
      { class: "panel tile", "aria-label": "Photo" },
      h("figure", {}, this.photo, this.outlines.element),
    );
    this.caption = h("p", { class: "presentation-caption", role: "status" });
    this.bar = h(
      "div",
      { class: "presentation-bar" },
      this.caption,
      h("span", { class: "subtle" }, "← → · 1–5 · / class · ? all keys · Esc"),
      iconButton("close", "Leave the presentation", () => this.leave(), { class: "tool" }),
    );
    root.append(this.bar);
    new ResizeObserver(() => this.layOut()).observe(root);
    document.addEventListener("fullscreenchange", () => {
      if (!document.fullscreenElement && this.wasFull) this.leave();
    });
  }

  get isOn() {
    return this.root.classList.contains("presenting");
  }

  setPhoto({ url, width, height }) {
    this.photo.src = url;
    this.outlines.setPhoto({ width, height });
    this.ratio = width / height;
    this.layOut();
  }

  /** What is said of the picture that is stepped to, and which of how many it is. */
  setCaption({ title, caption } = {}, position = "") {
    const parts = [title && h("b", {}, title), caption, position && h("span", { class: "subtle" }, position)];
    this.caption.replaceChildren(...parts.filter(Boolean).flatMap((part) => [part, " "]));
    this.layOut();
  }

  /** The photo by itself, in a corner. */
  togglePhoto() {
    if (this.isOn) this.root.classList.toggle("with-photo");
  }

  async toggle() {
    if (this.isOn) {
      this.leave();
      return;
    }
    this.root.classList.add("presenting");
    document.documentElement.classList.add("is-presenting");
    this.makeInert(true);
    this.layOut();
    this.root.focus({ preventScroll: true });
    try {
      await this.root.requestFullscreen();
      this.wasFull = true;
    } catch {
      // It covers the page instead.
    }
  }

  /** Gives whether it was on. */
  leave() {
    if (!this.isOn) return false;
    this.root.classList.remove("presenting");
    document.documentElement.classList.remove("is-presenting");
    this.makeInert(false);
    if (this.wasFull && document.fullscreenElement) document.exitFullscreen();
    this.wasFull = false;
    return true;
  }

  /** Puts all around it out of reach of the Tab key, screen readers and the mouse. */
  makeInert(isOff) {
    for (let inner = this.root; inner !== document.body; inner = inner.parentElement) {
      for (const other of inner.parentElement.children) if (other !== inner) other.inert = isOff;
    }
  }

  /** What a tile needs besides its picture. */
  labelHeight() {
    const panels = [...this.grid.querySelectorAll(":scope > .panel[data-model]")];
    const heights = panels.map((panel) => {
      const labels = "header, .explained, .effect, .for-and-against, .top, .status";
      const parts = [...panel.querySelectorAll(`:scope > :is(${labels})`)];
      return parts.reduce((sum, part) => sum + part.offsetHeight, 0);
    });
    return Math.max(0, ...heights) + GAP; // the space above and below the picture
  }

  /** The number of columns with which the pictures become largest. */
  layOut() {
    if (!this.isOn || !this.ratio) return;
    const count = this.grid.querySelectorAll(":scope > .panel[data-model]").length;
    const width = this.root.clientWidth - 2 * GAP;
    const bars = [this.bar, ...this.root.querySelectorAll(":scope > .cover-bar")];
    const height = this.root.clientHeight - bars.reduce((sum, bar) => sum + bar.offsetHeight, 0) - GAP;
    const labels = this.labelHeight();
    let best = { columns: 1, size: 0 };
    const isWide = this.root.clientWidth > WIDE * this.root.clientHeight && count <= 4;
    for (let columns = isWide ? count : 1; columns <= count; columns++) {
      const rows = Math.ceil(count / columns);
      const size = Math.min(width / columns - GAP, (height / rows - labels) * this.ratio);
      if (size > best.size) best = { columns, size };
    }
    this.root.style.setProperty("--columns", best.columns);
    this.root.style.setProperty("--bar", `${this.bar.offsetHeight}px`);
    this.root.style.setProperty("--gap", `${GAP}px`);
    this.root.style.setProperty("--tile", `${Math.floor(best.size)}px`);
  }
}
