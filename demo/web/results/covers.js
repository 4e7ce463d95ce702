// Covered places of the photo: converts them from and to the texts of the state and the server, and outlines them over
// a photo.

import { svg } from "../core/elements.js";

const DIGITS = 1e4;
const TEXT = /^[\d.,]+(~[\d.]+)?(:([a-z]+))?$/;

/** Whether a text, such as one from a link, is a cover that gradcam_core/images/cover.py can read. limits: {fills, points,
 * radius}, from demo/ui/page_data.py. */
export function isCover(text, limits) {
  const fill = TEXT.exec(text)?.[3] ?? limits.fills[0];
  if (!TEXT.test(text) || !limits.fills.includes(fill)) return false;
  const { box, points, radius } = readCover(text);
  const areShares = (numbers) => numbers.every((one) => one >= 0 && one <= 1);
  const isPaired = text.split("~")[0].split(",").length === 2 * points?.length;
  if (!box) return isPaired && points.length <= limits.points && areShares(points.flat()) && radius > 0 && radius <= limits.radius;
  const [left, top, right, bottom] = box.map((one) => Math.round(one * DIGITS));
  return box.length === 4 && areShares(box) && left < right && top < bottom;
}

const written = (share) => String(Math.round(Math.min(Math.max(share, 0), 1) * DIGITS) / DIGITS);

/** The text of a cover, a box as {box} or a brush stroke as {points, radius}, in the form that
 * gradcam_core/images/cover.py reads. */
export function coverText({ box, points, radius }, fill) {
  const numbers = box ?? points.flat();
  return `${numbers.map(written).join(",")}${points ? `~${written(radius)}` : ""}:${fill}`;
}

export function readCover(text) {
  const [place, radius] = text.split(":")[0].split("~");
  const numbers = place.split(",").map(Number);
  if (radius === undefined) return { box: numbers };
  const points = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) points.push([numbers[i], numbers[i + 1]]);
  return { points, radius: Number(radius) };
}

/** An SVG over a photo that outlines covers. */
export class CoverOutlines {
  constructor() {
    this.element = svg("svg", { class: "covers", "aria-hidden": "true" });
    this.drawn = { covers: [], draft: null };
  }

  setPhoto({ width, height }) {
    this.size = [width, height];
    this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.show(this.drawn);
  }

  /** covers: the covered places. draft: the place being drawn, or null. elsewhere: the places covered for comparison. */
  show({ covers, draft, elsewhere = [] }) {
    this.drawn = { covers, draft, elsewhere };
    if (!this.size) return;
    this.element.replaceChildren(
      ...covers.flatMap((cover) => this.shapes(cover, "covered")),
      ...elsewhere.flatMap((cover) => this.shapes(cover, "elsewhere")),
      ...(draft ? this.shapes(draft, "draft") : []),
    );
  }

  shapes({ box, points, radius }, kind) {
    const [width, height] = this.size;
    if (box) {
      const [left, top, right, bottom] = box;
      const place = { x: left * width, y: top * height, width: (right - left) * width, height: (bottom - top) * height };
      return ["under", "over"].map((part) => svg("rect", { class: `${kind} ${part}`, ...place }));
    }
    const line = points.map(([x, y]) => `${x * width} ${y * height}`).join("L");
    const wide = 2 * radius * Math.min(width, height);
    return [svg("path", { class: `${kind} brush`, d: `M${line}L${line.split("L").at(-1)}`, "stroke-width": wide })];
  }
}
