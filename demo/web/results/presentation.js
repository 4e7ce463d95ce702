// Presentation: only the picture, the maps and large labels, as large as the screen lets them be.

import { h } from "../core/elements.js";
import { iconButton } from "../dom.js";
import { CoverOutlines } from "./covers.js";

const GAP = 24; // pixels between pictures

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
      h("header", {}, h("h2", {}, "Photo")),
      h("figure", {}, this.photo, this.outlines.element),
    );
    this.bar = h(
      "div",
      { class: "presentation-bar" },
      h("span", { class: "subtle" }, "← → examples · 1–5 classes · o overlay · c cover · Esc leaves"),
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
      const parts = [...panel.querySelectorAll(":scope > :is(header, .explained, .effect, .status)")];
      return parts.reduce((sum, part) => sum + part.offsetHeight, 0);
    });
    return Math.max(0, ...heights) + GAP; // the space above and below the picture
  }

  /** The number of columns with which the pictures become largest. */
  layOut() {
    if (!this.isOn || !this.ratio) return;
    const count = this.grid.querySelectorAll(":scope > .panel").length;
    const width = this.root.clientWidth - 2 * GAP;
    const bars = [this.bar, ...this.root.querySelectorAll(":scope > .cover-bar")];
    const height = this.root.clientHeight - bars.reduce((sum, bar) => sum + bar.offsetHeight, 0) - GAP;
    const labels = this.labelHeight();
    let best = { columns: 1, size: 0 };
    for (let columns = 1; columns <= count; columns++) {
      const rows = Math.ceil(count / columns);
      const size = Math.min(width / columns - GAP, (height / rows - labels) * this.ratio);
      if (size > best.size) best = { columns, size };
    }
    this.root.style.setProperty("--columns", best.columns);
    this.root.style.setProperty("--gap", `${GAP}px`);
    this.root.style.setProperty("--tile", `${Math.floor(best.size)}px`);
  }
}
