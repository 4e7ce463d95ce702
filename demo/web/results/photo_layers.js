// A photo with layers over it: the heat on a canvas, redrawn whenever its size on the screen changes so that it is sharp
// at every size; and the dimming of what the network did not see.

import { h } from "../core/elements.js";
import { bytesOf, insetOf, paint } from "../core/heat.js";

const MAX_PIXELS = 2.5e6; // of the canvas
const MIN_LABEL_PX = 18; // a narrower strip has no room for its label

/** The map of a result (demo/server/answers.py) in the form of core/heat.js. */
export function readMap({ map: { rows, columns, levels }, region, box }) {
  const bytes = new DataView(bytesOf(levels).buffer);
  const cells = Float32Array.from({ length: rows * columns }, (_, i) => bytes.getUint16(2 * i, true) / 65535);
  return { rows, columns, cells, region, box };
}

/** The signed map of a result, with evidence against the class below 0; null if it has none. */
export function readSignedMap({ map: { rows, columns }, signed_levels, region, box }) {
  if (!signed_levels) return null;
  const bytes = new DataView(bytesOf(signed_levels).buffer);
  const cells = Float32Array.from({ length: rows * columns }, (_, i) => bytes.getInt16(2 * i, true) / 32767);
  return { rows, columns, cells, region, box };
}

export class PhotoLayers {
  /** draw(width, height): returns the heat, or null if there is none yet; colors(): the palette; lowest(): the heat of its
   * first colour. photo: the element that shows the photo; mostPixels: of the canvas. */
  constructor({ draw, colors, label = "", lowest = () => 0, photo = h("img", { class: "photo", alt: "" }), mostPixels = MAX_PIXELS }) {
    this.draw = draw;
    this.colors = colors;
    this.lowest = lowest;
    this.photo = photo;
    this.mostPixels = mostPixels;
    this.canvas = h("canvas", { class: "heat", role: "img", "aria-label": label });
    this.viewBox = h("div", { class: "view-box", hidden: true });
    this.outside = [h("span", { class: "outside" }), h("span", { class: "outside" })];
    this.element = h("div", { class: "photo-layers" }, this.photo, this.canvas, this.viewBox, ...this.outside);
    this.raster = { width: 0, height: 0 };
    new ResizeObserver(() => this.resized()).observe(this.element);
  }

  setPhoto({ url, width, height }) {
    this.photo.src = url;
    this.setShape({ width, height });
  }

  setShape({ width, height }) {
    this.element.style.setProperty("--ratio", width / height);
    this.element.style.aspectRatio = `${width} / ${height}`;
  }

  /** box: the part that the network saw, as shares of the photo's sides; null while it is not known. */
  setBox(box) {
    this.viewBox.hidden = box === null;
    this.box = box;
    if (box) {
      this.viewBox.style.inset = insetOf(box);
    }
    this.labelOutside();
  }

  labelOutside() {
    const { clientWidth: width, clientHeight: height } = this.element;
    const place = String([this.box, width, height]);
    if (place === this.labelled) return; // measuring a label lays out the whole page
    this.labelled = place;
    for (const strip of this.outside) strip.textContent = "";
    if (!this.box) return;
    const [left, top, right, bottom] = this.box;
    const isBeside = left * width >= top * height;
    const sizes = isBeside ? [left * width, (1 - right) * width] : [top * height, (1 - bottom) * height];
    this.outside.forEach((strip, i) => {
      strip.classList.toggle("upright", isBeside);
      if (sizes[i] < MIN_LABEL_PX) return;
      strip.textContent = "not seen";
      const size = `${sizes[i]}px`;
      if (isBeside) strip.style.cssText = `top:0;bottom:0;width:${size};${i ? "right" : "left"}:0`;
      else strip.style.cssText = `left:0;right:0;height:${size};${i ? "bottom" : "top"}:0`;
      const isCutOff = strip.scrollWidth > strip.clientWidth || strip.scrollHeight > strip.clientHeight;
      if (isCutOff) strip.textContent = "";
    });
  }

  resized() {
    this.labelOutside();
    const { width, height } = this.rasterSize();
    if (width !== this.raster.width || height !== this.raster.height) this.redraw();
  }

  rasterSize() {
    const { clientWidth, clientHeight } = this.element;
    const most = Math.sqrt(this.mostPixels / Math.max(1, clientWidth * clientHeight));
    const scale = Math.min(window.devicePixelRatio, most);
    return { width: Math.round(clientWidth * scale), height: Math.round(clientHeight * scale) };
  }

  redraw() {
    this.raster = this.rasterSize();
    const { width, height } = this.raster;
    if (!width || !height) return;
    this.heat = this.draw(width, height);
    this.recolor();
  }

  /** Draws the same heat in other colours. */
  recolor() {
    const { width, height } = this.raster;
    if (!width || !height) return;
    if (this.heat) paint(this.canvas, this.heat, width, height, this.colors(), this.lowest());
    else this.canvas.width = this.canvas.height = 1;
  }
}
