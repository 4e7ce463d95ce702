// The steps of one network's map: forward, backward, heatmap.

import { h } from "../core/elements.js";
import { bytesOf, isInside, spread } from "../core/heat.js";
import { decimal, percentage, thousands } from "../core/numbers.js";
import { together } from "../dom.js";
import { PhotoLayers } from "../results/photo_layers.js";

const SUM_STAGES = 2; // after all channels are added: negative values become 0, then the cells are smoothed

export class StepsCard {
  /** photo: as it is shown; method: from demo/ui/page_data.py; page: overlayColors(), signedColors(). */
  constructor(title, { photo, method, page }) {
    this.photo = photo;
    this.method = method;
    this.page = page;
    this.title = h("h3", {}, title);
    this.status = h("p", { class: "status", role: "status" });
    this.body = h("div", { class: "three" });
    this.stops = [];
    this.element = h("div", { role: "listitem" }, this.title, this.status, this.body);
  }

  get isCurrent() {
    return this.element.classList.contains("current");
  }

  get parts() {
    return [...this.body.children];
  }

  /** Shows the card's first step, or its last. */
  enter(isLast = false) {
    this.element.classList.add("current");
    this.turnTo(isLast ? this.parts.length - 1 : 0);
    this.stopAt(isLast ? this.stops.length - 1 : 0);
  }

  leave() {
    this.element.classList.remove("current");
  }

  turnTo(at) {
    this.parts.forEach((part, i) => part.classList.toggle("current", i === at));
  }

  /** Goes to the next step, or to the next sum within the last step; returns whether there was one. by: 1 or -1. */
  walk(by) {
    const at = this.parts.findIndex((part) => part.classList.contains("current"));
    const isLast = at === this.parts.length - 1;
    if (isLast && this.stopAt(this.stop + by)) return true;
    if (!this.parts[at + by]) return false;
    this.turnTo(at + by);
    if (at + by === this.parts.length - 1) this.stopAt(0);
    return true;
  }

  /** Shows a sum of channels. stop: its index in `stops`. Returns whether it exists. */
  stopAt(stop) {
    if (this.stops[stop] === undefined) return false;
    this.stop = stop;
    this.draw(this.stops[stop]);
    return true;
  }

  setStatus(text) {
    this.status.textContent = text;
  }

  show(result) {
    const { steps, target, title, degenerate } = result;
    this.title.replaceChildren(h("span", {}, title), h("span", { class: "subtle" }, ` · ${target.name} ${result.rather_than}`));
    this.status.textContent = steps ? "" : degenerate || "This map has no such steps.";
    const current = this.parts.findIndex((part) => part.classList.contains("current"));
    if (!steps) return;
    this.place = { rows: steps.rows, columns: steps.columns, region: result.region, box: result.box };
    this.body.replaceChildren(
      this.forward(result, steps),
      this.backward(result, steps),
      this.heatmap(result, steps),
    );
    this.turnTo(Math.max(0, current));
  }

  forward({ layer, target, rather_than, tokens }, { channels, rows, columns, score, mean }) {
    const lead = rather_than ? ", its lead over the others," : "";
    const text =
      `The photo goes through the network once. The feature map of ${layer} has ${thousands(channels)} channels of ` +
      `${columns}\u00a0×\u00a0${rows} ${tokens ? "tokens" : "cells"}. The layers behind it compute a score for each class. ` +
      `The score of ${target.name}${lead} is ${decimal(score)}.`;
    const sizes = h("code", {}, `A: ${thousands(channels)} × ${columns} × ${rows}`, h("br"), `y = ${decimal(score)}`);
    return step("1 Forward", text, sizes, [
      this.picture(this.map(mean), "The mean of all channels over the photo"),
      h("p", { class: "subtle" }, "The mean of all channels: where the layer responds at all."),
    ]);
  }

  backward({ target }, { counts, for: speaking, against }) {
    const [many, few] = counts;
    const channel = (one) =>
      h(
        "figure",
        { class: one.share < 0 ? "against" : "for" },
        this.picture(this.map(one.activation), `Channel ${one.index} over the photo`),
        h(
          "figcaption",
          {},
          h("b", {}, `${one.share < 0 ? "−" : "+"}${percentage(Math.abs(one.share))}`),
          ` channel ${one.index}`,
          one.weight === null ? "" : h("span", {}, `, w\u00a0${signedNumber(one.weight)}`),
        ),
      );
    const parts = [h("div", { class: "channels" }, ...speaking.map(channel))];
    if (against.length) parts.push(h("p", {}, "Against it:"), h("div", { class: "channels" }, ...against.map(channel)));
    const text =
      `How much would the score rise if a channel were a little stronger? That is its weight. ` +
      `${thousands(many)} channels speak for ${target.name}, ${thousands(few)} against it. ` +
      "A channel's share is its part of all evidence for the class, or against it.";
    return step("2 Backward", text, h("code", {}, this.method.formula), parts);
  }

  heatmap({ target }, { channels, counted, running, map, others }) {
    const last = counted.length - 1 + SUM_STAGES;
    const text = h("output", { class: "subtle" });
    const slider = h("input", {
      type: "range",
      min: 0,
      max: last,
      step: 1,
      value: last,
      "aria-label": "Channels added",
      oninput: () => draw(Number(slider.value)),
    });
    const sums = running.map((one) => this.map(one));
    const whole = this.map(map);
    let at = last;
    const shown = new PhotoLayers({
      draw: (width, height) => {
        if (at === last) return spread(whole, width, height);
        return blocks(at < counted.length ? sums[at] : whole, width, height);
      },
      colors: () => (at < counted.length ? this.page.signedColors() : this.page.overlayColors()),
      lowest: () => (at < counted.length ? -1 : 0),
      label: "The sum so far, over the photo",
    });
    shown.setPhoto(this.photo);
    shown.setBox(this.place.box);
    const sumsShown = [1, 2, 8, 40, channels].map((most) => counted.findLastIndex((one) => one <= most));
    this.stops = [...new Set([...sumsShown, last - 1, last])];
    this.stop = this.stops.length - 1;
    const draw = (to) => {
      at = to;
      slider.value = to;
      const all = thousands(channels);
      const sum = `${thousands(counted[Math.min(at, counted.length - 1)])} of ${all} channels added`;
      const rest = others === null ? "values below 0 are removed" : "values below 0 and places where another class leads are removed";
      const said = [`All ${all} channels added, then ${rest}.`, "The cells are enlarged smoothly over the photo: the map."];
      const caption = at < counted.length ? `${sum}: orange for ${target.name}, blue against it.` : said[at - counted.length];
      text.textContent = together(caption);
      slider.setAttribute("aria-valuetext", caption);
      shown.redraw();
    };
    this.draw = draw;
    queueMicrotask(() => draw(last));
    const formula = others === null ? "L = ReLU( Σₖ wₖ Aₖ )" : "L = ReLU( ReLU( Σₖ wₖ Aₖ ) − max others )";
    const added = "The channels are added, each times its weight, those that matter most first. Only what speaks for the class stays.";
    return step("3 Heatmap", added, h("code", {}, formula), [h("figure", {}, shown.element), h("div", { class: "sum" }, slider, text)]);
  }

  map(base64) {
    return { ...this.place, cells: new Float32Array(bytesOf(base64).buffer) };
  }

  picture(map, label) {
    const layers = new PhotoLayers({
      draw: (width, height) => spread(map, width, height),
      colors: () => this.page.overlayColors(),
      label,
    });
    layers.setPhoto(this.photo);
    layers.setBox(this.place.box);
    return layers.element;
  }
}

/** shown: the elements beside the text and the formula, or below them on a narrow screen. */
const step = (title, text, formula, shown) =>
  h(
    "section",
    { class: "step" },
    h("div", {}, h("h4", {}, title), h("p", {}, together(text)), formula),
    h("div", { class: "shown" }, ...shown),
  );

const signedNumber = (number) => number.toPrecision(2).replace("-", "−");

/** A map as heat on a raster of width x height, without interpolation between cells; its largest absolute value is 1. */
function blocks({ rows, columns, cells, region, box }, width, height) {
  const [left, top, right, bottom] = region;
  const heat = new Float32Array(width * height);
  const peak = cells.reduce((most, cell) => Math.max(most, Math.abs(cell)), 0) || 1;
  const cellAt = (place, start, end, number) =>
    Math.min(number - 1, Math.max(0, Math.floor(((place - start) / (end - start)) * number)));
  for (let y = 0; y < height; y++) {
    const row = cellAt((y + 0.5) / height, top, bottom, rows);
    for (let x = 0; x < width; x++) {
      if (!isInside(box, (x + 0.5) / width, (y + 0.5) / height)) continue;
      heat[y * width + x] = cells[row * columns + cellAt((x + 0.5) / width, left, right, columns)] / peak;
    }
  }
  return heat;
}
