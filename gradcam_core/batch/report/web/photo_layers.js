// A photo of the report with layers over it, like demo/web/results/photo_layers.js on the page. Here
// drawing never measures the layout, because it happens while a list of thousands scrolls.

const COLORS = palette(bytesOf(index.colors), false);

/** A photo with layers over it: coloured heat, and dimming of what the network did not see. */
class PhotoLayers {
  constructor() {
    this.photo = h("img", { class: "photo", alt: "", decoding: "async", draggable: "false" });
    this.canvas = h("canvas", { class: "heat", role: "img" });
    this.viewBox = h("div", { class: "view-box" });
    this.element = h("div", { class: "photo-layers" }, this.photo, this.canvas, this.viewBox);
    this.clear();
  }

  clear() {
    this.element.classList.add("waiting");
  }

  /** Takes the largest size that fits width and height, in CSS pixels. ratio: width / height. */
  fit(ratio, width, height) {
    const wide = Math.min(width, height * ratio);
    const [before, above] = [this.width, this.height];
    this.width = Math.max(1, Math.round(wide));
    this.height = Math.max(1, Math.round(wide / ratio));
    if (this.width === before && this.height === above) return;
    this.element.style.width = `${this.width}px`;
    this.element.style.height = `${this.height}px`;
  }

  setLabel(text) {
    this.canvas.setAttribute("aria-label", text);
  }

  /** thumbnail: JPEG in base64, or null; map, box: as in a network's part of the picture's line. */
  draw(thumbnail, { map, box }) {
    this.photo.hidden = !thumbnail;
    if (thumbnail) this.photo.src = `data:image/jpeg;base64,${thumbnail}`;
    this.viewBox.hidden = !box;
    if (box) {
      this.viewBox.style.inset = insetOf(box);
    }
    this.element.classList.remove("waiting");
    this.canvas.hidden = !map;
    if (!map) return;
    const scale = Math.min(window.devicePixelRatio, 2);
    const [width, height] = [this.width, this.height].map((side) => Math.round(side * scale));
    const cells = bytesOf(map.levels);
    const heat = spread({ ...map, cells, box: box ?? [0, 0, 1, 1] }, width, height);
    paint(this.canvas, heat, width, height, COLORS);
  }
}
