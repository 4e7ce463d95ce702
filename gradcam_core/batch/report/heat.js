// Heat on the photo: a map laid over what the network saw of it, bilinear between the centres of its
// cells, as `View.to_photo` of gradcam_core does. Everything is in shares of the photo's sides.

const COLORS = new Uint32Array(bytesOf(index.colors).buffer); // RGBA of 256 levels of heat

/** Which two cells a place lies between, and how far: along one axis, `at` a share of the photo. */
function between(at, start, end, count) {
  const last = count - 1;
  const position = Math.min(Math.max(((at - start) / (end - start)) * count - 0.5, 0), last);
  const before = Math.min(Math.floor(position), Math.max(last - 1, 0));
  return [before, position - before];
}

// A pixel of the raster is inside if it covers any of the box; rounding may not push it across.
const firstInside = (share, size) => Math.floor(share * size + 1e-3);
const endInside = (share, size) => Math.ceil(share * size - 1e-3);

/** A map on a raster of width x height that covers the whole photo, its maximum 1; 0 outside. */
function heatOf({ rows: down, columns, levels, region }, box, width, height) {
  const cells = bytesOf(levels);
  const [left, top, right, bottom] = region;
  const heat = new Float32Array(width * height);
  const [x0, y0] = [firstInside(box[0], width), firstInside(box[1], height)];
  const [x1, y1] = [endInside(box[2], width), endInside(box[3], height)];
  const across = [];
  for (let x = x0; x < x1; x++) across.push(between((x + 0.5) / width, left, right, columns));
  const line = new Float32Array(columns + 1);
  let peak = 0;
  for (let y = y0; y < y1; y++) {
    const [before, share] = between((y + 0.5) / height, top, bottom, down);
    const upper = before * columns;
    const lower = Math.min(before + 1, down - 1) * columns;
    for (let i = 0; i < columns; i++) line[i] = cells[upper + i] * (1 - share) + cells[lower + i] * share;
    let at = y * width + x0;
    for (const [cell, part] of across) {
      const value = line[cell] * (1 - part) + line[cell + 1] * part;
      if (value > peak) peak = value;
      heat[at++] = value;
    }
  }
  if (peak > 0) for (let i = 0; i < heat.length; i++) heat[i] /= peak;
  return heat;
}

/** A photo with layers over it: heat in colour, and the dimming of what was not seen. */
class Stage {
  constructor() {
    this.photo = h("img", { class: "photo", alt: "", decoding: "async", draggable: "false" });
    this.canvas = h("canvas", { class: "heat", role: "img" });
    this.seen = h("div", { class: "seen" });
    this.element = h("div", { class: "stage" }, this.photo, this.canvas, this.seen);
    this.clear();
  }

  clear() {
    this.element.classList.add("waiting");
  }

  /** The size in CSS pixels, in the photo's proportions, that fits into so many. */
  fit(ratio, width, height) {
    const wide = Math.min(width, height * ratio);
    const [before, above] = [this.width, this.height];
    this.width = Math.max(1, Math.round(wide));
    this.height = Math.max(1, Math.round(wide / ratio));
    if (this.width === before && this.height === above) return;
    this.element.style.width = `${this.width}px`;
    this.element.style.height = `${this.height}px`;
  }

  say(text) {
    this.canvas.setAttribute("aria-label", text);
  }

  /** thumbnail: JPEG in base64, or null; row: one network's of the picture's line. */
  draw(thumbnail, { map, box }) {
    this.photo.hidden = !thumbnail;
    if (thumbnail) this.photo.src = `data:image/jpeg;base64,${thumbnail}`;
    this.seen.hidden = !box;
    if (box) {
      const [left, top, right, bottom] = box;
      const sides = [top, 1 - right, 1 - bottom, left].map((share) => `${100 * share}%`);
      this.seen.style.inset = sides.join(" ");
    }
    this.element.classList.remove("waiting");
    this.canvas.hidden = !map;
    if (!map) return;
    const scale = Math.min(window.devicePixelRatio, 2);
    const [width, height] = [this.width, this.height].map((side) => Math.round(side * scale));
    const heat = heatOf(map, box ?? [0, 0, 1, 1], width, height);
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const context = this.canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < heat.length; i++) pixels[i] = COLORS[Math.round(heat[i] * 255)];
    context.putImageData(picture, 0, 0);
  }
}
