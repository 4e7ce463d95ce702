// A network's panel in the live view: the newest frame with its map, and the most probable classes.

import { h } from "../core/elements.js";
import { spread } from "../core/heat.js";
import { percentage } from "../core/numbers.js";
import { PhotoLayers, readMap } from "../results/photo_layers.js";
import { PredictionRow } from "../results/prediction_rows.js";

const HEAT_PIXELS = 96 * 96; // enough for a map of some 7 x 7 cells; the browser enlarges it smoothly
const ROWS = 5;

export class LivePanel {
  /** colors(): the palette. pin(prediction): pins or unpins a class. */
  constructor(model, title, { colors, pin }) {
    this.heading = h("h2", {}, title);
    this.standsIn = h("p", { class: "stands-in" });
    this.picture = h("canvas", { class: "photo" });
    this.layers = new PhotoLayers({
      draw: (width, height) => this.map && spread(this.map, width, height),
      colors,
      photo: this.picture,
      mostPixels: HEAT_PIXELS,
    });
    this.status = h("div", { class: "status", role: "status" });
    this.explained = h("p", { class: "explained" });
    this.rows = Array.from({ length: ROWS }, (_, i) => {
      const act = () => this.result && pin(this.result.top[i]);
      // Acts when pressed, because the row may show another class by the time the finger is lifted.
      const press = (event) => event.button === 0 && act();
      return new PredictionRow({ onpointerdown: press, onclick: (event) => event.detail === 0 && act() });
    });
    this.element = h(
      "section",
      { class: "panel live-panel", "data-live": model, "aria-label": title },
      h("header", {}, h("div", {}, this.heading, this.standsIn)),
      h("figure", {}, this.layers.element, this.status),
      this.explained,
      h("ol", { class: "top" }, ...this.rows.map(({ item }) => item)),
    );
    for (const row of this.rows) row.clear();
  }

  /** Draws the frame and its map. frame: the one that the result describes. Separate from `write`, which changes text,
   * so that the browser lays out the page once for all panels. */
  draw(frame, result) {
    this.layers.setShape(frame);
    this.drawPicture(frame);
    this.map = result.failed ? null : readMap(result);
    this.layers.redraw();
  }

  write(result, pinned) {
    this.result = result.failed ? null : result;
    this.setBox(result.box ?? null);
    setText(this.status, result.failed ?? result.degenerate);
    if (result.failed) {
      this.explained.replaceChildren();
      for (const row of this.rows) row.clear();
      return;
    }
    const { title, stands_in_for, target, top } = result;
    setText(this.heading, title);
    setText(this.standsIn, stands_in_for ? `in place of ${stands_in_for}` : "");
    const label = `Heat of ${title} for the class ${target.name}`;
    if (label !== this.layers.canvas.ariaLabel) this.layers.canvas.setAttribute("aria-label", label);
    const isPinned = pinned !== undefined;
    this.element.classList.toggle("pinned", isPinned);
    if (isPinned) this.explained.replaceChildren(h("strong", {}, target.name), h("span", {}, percentage(target.probability)));
    this.rows.forEach((row, i) => {
      row.item.hidden = i >= top.length;
      if (top[i]) row.show(top[i], top[i].index === pinned);
    });
  }

  setBox(box) {
    if (String(box) !== String(this.box)) this.layers.setBox((this.box = box));
  }

  drawPicture({ canvas }) {
    const { clientWidth, clientHeight } = this.layers.element;
    const scale = Math.min(window.devicePixelRatio, canvas.width / Math.max(1, clientWidth));
    const size = { width: Math.round(clientWidth * scale), height: Math.round(clientHeight * scale) };
    if (!size.width || !size.height) return;
    if (this.picture.width !== size.width || this.picture.height !== size.height) Object.assign(this.picture, size);
    this.picture.getContext("2d").drawImage(canvas, 0, 0, size.width, size.height);
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
