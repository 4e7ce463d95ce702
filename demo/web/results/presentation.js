// The presentation: shows only the maps, as large as the screen allows, with large labels and numbered predictions; in
// one row on a wide screen. A key shows the photo in a corner.

import { h } from "../core/elements.js";
import { iconButton } from "../dom.js";
import { CoverOutlines } from "./covers.js";

const GAP = 24; // pixels between pictures
const WIDE = 1.1; // width over height of a screen from which there is one row
const PHONE = matchMedia("(max-width: 640px)"); // on which maps are swiped, see presentation.css
const CORNER = { width: 0.24, height: 0.2, most: 384 }; // limits of the photo in its corner: shares of the screen, and pixels
const LEAST_TILE = 16; // rem
const LEAST_COLUMN = 8.125; // rem
const LEAST_HEIGHT = 80; // pixels of a map
const ROW_COUNT = 6; // grid rows of a panel, see presentation.css

const pixelsOf = (rem) => rem * parseFloat(getComputedStyle(document.documentElement).fontSize);

export class Presentation {
  /** root: the element that fills the screen; grid: the element whose tiles are laid out. */
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

  /** Shows the caption of the current picture, and its position in the sequence. */
  setCaption({ title, caption } = {}, position = "") {
    const parts = [title && h("b", {}, title), caption, position && h("span", { class: "subtle" }, position)];
    this.caption.replaceChildren(...parts.filter(Boolean).flatMap((part) => [part, " "]));
    this.layOut();
  }

  /** Shows or hides the photo in its corner. */
  togglePhoto() {
    if (!this.isOn) return;
    this.root.classList.toggle("with-photo");
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
      // The presentation covers the page instead.
    }
  }

  /** Ends the presentation; returns whether it was on. */
  leave() {
    if (!this.isOn) return false;
    this.root.classList.remove("presenting");
    document.documentElement.classList.remove("is-presenting");
    this.makeInert(false);
    if (this.wasFull && document.fullscreenElement) document.exitFullscreen();
    this.wasFull = false;
    return true;
  }

  /** Puts the rest of the page out of reach of the Tab key, screen readers and the mouse, or back. */
  makeInert(isOff) {
    for (let inner = this.root; inner !== document.body; inner = inner.parentElement) {
      for (const other of inner.parentElement.children) if (other !== inner) other.inert = isOff;
    }
  }

  /** The height that a tile needs in addition to its picture, in pixels. */
  labelHeight() {
    const panels = [...this.grid.querySelectorAll(":scope > .panel[data-model]")];
    const heights = panels.map((panel) => {
      const labels = "header, .explained, .effect, .for-and-against, .top, .status";
      const parts = [...panel.querySelectorAll(`:scope > :is(${labels})`)];
      return parts.reduce((sum, part) => sum + part.offsetHeight, 0);
    });
    const gap = panels.length ? parseFloat(getComputedStyle(panels[0]).rowGap) || 0 : 0;
    return Math.max(0, ...heights) + (ROW_COUNT - 1) * gap;
  }

  /** The size of the photo in its corner, in pixels; null if it is not shown. */
  corner() {
    if (!this.root.classList.contains("with-photo")) return null;
    const { clientWidth, clientHeight } = this.root;
    const width = Math.min(CORNER.width * clientWidth, CORNER.most, CORNER.height * clientHeight * this.ratio);
    return { width, height: width / this.ratio };
  }

  /** Chooses the number of columns that makes the pictures largest. The photo in its corner has its own space, below or
   * beside the maps. */
  layOut() {
    if (!this.isOn || !this.ratio) return;
    const bars = [this.bar, ...this.root.querySelectorAll(":scope > .cover-bar")];
    const width = this.root.clientWidth - 2 * GAP;
    const height = this.root.clientHeight - bars.reduce((sum, bar) => sum + bar.offsetHeight, 0) - GAP;
    const corner = this.corner();
    const below = [0, corner ? corner.height + GAP : 0];
    const rooms = corner && !PHONE.matches ? [below, [corner.width + GAP, 0]] : [below];
    const best = rooms
      .map(([beside, below]) => ({ ...this.largest(width - beside, height - below), beside, below }))
      .reduce((one, other) => (other.size > one.size ? other : one));
    // Tiles stay wide enough for their texts. If they do not fit below each other, they are scrolled.
    const tile = Math.max(best.size, Math.min(pixelsOf(LEAST_TILE), (width - best.beside) / best.columns - GAP));
    const map = Math.min(tile, Math.max(best.size, LEAST_HEIGHT * this.ratio));
    const lengths = { bar: this.bar.offsetHeight, gap: GAP, tile, map, beside: best.beside, below: best.below, corner: corner?.width ?? 0 };
    this.root.style.setProperty("--columns", best.columns);
    for (const [name, pixels] of Object.entries(lengths)) this.root.style.setProperty(`--${name}`, `${Math.floor(pixels)}px`);
  }

  /** The {columns, size} that make the pictures largest in this space. A phone has one column, for swiping. */
  largest(width, height) {
    const count = PHONE.matches ? 1 : this.grid.querySelectorAll(":scope > .panel[data-model]").length;
    const labels = this.labelHeight();
    let best = { columns: 1, size: -Infinity };
    const most = Math.max(1, Math.min(count, Math.floor(width / (pixelsOf(LEAST_COLUMN) + GAP))));
    const isWide = this.root.clientWidth > WIDE * this.root.clientHeight && count <= 4;
    for (let columns = isWide ? most : 1; columns <= most; columns++) {
      const rows = Math.ceil(count / columns);
      const size = Math.min(width / columns - GAP, (height / rows - labels) * this.ratio);
      if (size > best.size) best = { columns, size };
    }
    return best;
  }
}
