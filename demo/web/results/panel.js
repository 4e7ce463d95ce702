// A panel: the result of one network. Its elements are created once and then only changed, so that nothing flickers or
// jumps; a result replaces all that belongs to the previous one at once.

import { h } from "../core/elements.js";
import { isInside, spread } from "../core/heat.js";
import { percentage, wholePercentage } from "../core/numbers.js";
import { icon, iconButton, menu } from "../dom.js";
import { effectParts } from "./cover_comparison.js";
import { CoverOutlines } from "./covers.js";
import { PhotoLayers, readMap, readSignedMap } from "./photo_layers.js";
import { PredictionRow } from "./prediction_rows.js";

const BLANK = "\u00a0";
const STATUS_DELAY_MS = 250; // a result that is ready sooner needs no status

export class Panel {
  /** page: choose(index), download(model, file), colors(), point(place), coverHottest(model). */
  constructor(model, title, page) {
    this.model = model;
    this.page = page;
    this.result = null;
    this.map = null;
    this.heading = h("h2", { id: `panel-${model}` }, title);
    this.standsIn = h("p", { class: "stands-in" });
    this.layers = new PhotoLayers({
      draw: (width, height) => this.map && spread(this.signedMap ?? this.map, width, height),
      colors: () => page.colors(Boolean(this.signedMap)),
      lowest: () => (this.signedMap ? -1 : 0),
    });
    this.status = h("div", { class: "status", role: "status" });
    this.cross = h("div", { class: "cross", hidden: true });
    this.readout = h("output", { class: "readout", hidden: true, "aria-hidden": "true" });
    this.covers = new CoverOutlines();
    this.layers.element.append(this.covers.element, this.cross, this.readout);
    this.effect = h("p", { class: "effect" });
    this.effectElsewhere = h("p", { class: "effect elsewhere" });
    this.explained = h("p", { class: "explained" });
    this.how = h("p", { class: "how" });
    this.legend = h("p", { class: "for-and-against", hidden: true });
    this.notice = h("p", { class: "notice" });
    this.rows = Array.from({ length: 5 }, (_, i) => {
      const act = () => this.result && page.choose(this.result.top[i].index);
      return new PredictionRow({ onclick: act });
    });
    const saveButton = h(
      "button",
      { type: "button", class: "tool", title: "Download", "aria-label": `Download of ${title}` },
      icon("download"),
      h("span", { class: "word" }, "Download"),
    );
    this.saveMenu = menu(saveButton, "Download", () => [
      ["Overlay", "PNG, full size", () => page.download(model, "output.png")],
      ["Heatmap", "16-bit grey PNG", () => page.download(model, "heatmap.png")],
      ["Heatmap", "NumPy, float32", () => page.download(model, "heatmap.npy")],
    ]);
    this.saveButton = saveButton;
    this.element = h(
      "section",
      { class: "panel empty", "data-model": model, "aria-labelledby": `panel-${model}` },
      h(
        "header",
        {},
        h("div", {}, this.heading, this.standsIn),
        h(
          "div",
          { class: "tools" },
          iconButton("hottest", "Cover the hottest place of this map", () => page.coverHottest(model), {
            class: "tool",
            word: "Hottest",
          }),
          saveButton,
          iconButton("fullscreen", "Full screen on or off", () => this.toggleFullScreen(), {
            class: "tool",
            word: "Full screen",
          }),
        ),
        this.saveMenu,
      ),
      h("figure", {}, this.layers.element, this.status),
      this.explained,
      this.effect,
      this.effectElsewhere,
      this.how,
      this.legend,
      h("ol", { class: "top" }, ...this.rows.map(({ item }) => item)),
      this.notice,
    );
    this.followPointer();
    this.clear();
  }

  setPhoto(photo) {
    if (this.photoId === photo.id) return;
    this.photoId = photo.id;
    this.layers.setPhoto(photo);
    this.covers.setPhoto(photo);
    this.clear();
  }

  clear() {
    this.clearStatusTimer();
    this.result = this.map = this.signedMap = null;
    this.legend.hidden = true;
    this.layers.setBox(null);
    this.layers.redraw();
    this.layers.canvas.setAttribute("aria-label", "No heat yet");
    this.element.classList.add("empty");
    this.explained.textContent = BLANK;
    this.effect.replaceChildren(BLANK);
    this.effectElsewhere.replaceChildren();
    this.how.replaceChildren(h("span", {}, BLANK), h("span", {}, BLANK));
    this.status.textContent = "";
    for (const row of this.rows) row.clear();
    this.showPoint(null);
  }

  /** Says that the network is working: at once if there is no earlier result, otherwise after a delay. */
  showStatus(text) {
    this.element.dataset.status = "busy";
    this.element.setAttribute("aria-busy", "true");
    this.nextStatus = text;
    if (this.status.textContent || !this.result) this.status.textContent = text;
    else this.statusTimer ??= setTimeout(() => (this.status.textContent = this.nextStatus), STATUS_DELAY_MS);
  }

  finish(status, text = "") {
    this.clearStatusTimer();
    this.element.dataset.status = status;
    this.element.setAttribute("aria-busy", "false");
    this.status.textContent = text;
  }

  clearStatusTimer() {
    clearTimeout(this.statusTimer);
    this.statusTimer = undefined;
  }

  showFailure(text) {
    this.clear();
    this.finish("failed", text);
  }

  /** Ends the busy status after the request was replaced; an earlier result stays. */
  cancel() {
    if (this.element.dataset.status === "busy") this.finish(this.result ? "ready" : "waiting");
  }

  /** Shows which network runs. This is known before the result, so the result does not change the panel's height. */
  showNetwork({ title, stands_in_for, notice, classes, is_arriving }) {
    this.heading.textContent = title;
    this.saveButton.setAttribute("aria-label", `Download of ${title}`);
    if (!is_arriving) this.arriving = undefined;
    const replaced = is_arriving ? (this.arriving ?? `${stands_in_for} is arriving …`) : `in place of ${stands_in_for}`;
    this.standsIn.textContent = stands_in_for && replaced;
    this.standsIn.title = is_arriving ? notice : "";
    // A temporary notice is only a tooltip, so that the content below does not move.
    this.notice.textContent = is_arriving ? "" : notice;
    this.rows.forEach(({ item }, i) => (item.hidden = i >= classes));
  }

  /** Shows the download progress of the network that a stand-in replaces. */
  showArrival(text) {
    this.arriving = text;
    this.standsIn.textContent = text;
  }

  showResult(result) {
    this.result = result;
    this.map = readMap(result);
    this.signedMap = readSignedMap(result);
    this.showLegend(result);
    this.element.classList.remove("empty");
    this.finish("ready", result.degenerate);
    this.showNetwork(result);
    this.layers.setBox(result.box);
    this.layers.redraw();
    const { target, rank } = result;
    this.layers.canvas.setAttribute(
      "aria-label",
      `Heat of ${result.title} ${result.of_class ?? `by ${result.how}`}: ${result.where}`,
    );
    this.explained.replaceChildren(
      h("span", { class: "visually-hidden" }, result.of_class ? "explains " : ""),
      h("strong", { title: target.name, dir: "auto" }, target.name),
      h("span", { class: "unusual" }, [result.rather_than, result.unusual].filter(Boolean).join(" · ")),
      h("span", { class: "how-probable" }, ` ${percentage(target.probability)}, rank ${rank}`),
    );
    this.effect.replaceChildren(...effectParts(result, result.covers.length > 1 ? "without these places" : "without this place"));
    const { rows, columns } = result.map;
    const cells = `${result.layer}, ${columns} × ${rows} ${result.tokens ? "tokens on a grid" : "cells"}`;
    this.how.replaceChildren(
      h("span", { title: result.how }, result.how),
      h("span", { class: "dot" }, " · "),
      h("span", { title: cells }, cells),
    );
    result.top.forEach((prediction, i) => this.rows[i].show(prediction, prediction.index === target.index));
    this.showPoint(this.point);
  }

  /** Says what the two colours of a signed map mean here. */
  showLegend({ target, contrast }) {
    this.legend.hidden = !this.signedMap;
    if (!this.signedMap) return;
    const other = contrast.length === 1 ? `for ${contrast[0].name}` : contrast.length ? "for the others" : "against it";
    const part = (name, text) => h("span", { class: name }, text);
    this.legend.replaceChildren(part("against", other), part("for", `for ${target.name}`));
  }

  /** Shows the effect of covering an equally large cold place instead; null for none. */
  showElsewhere(result) {
    this.effectElsewhere.replaceChildren(...(result ? effectParts(result, "without an equally large cold place") : []));
  }

  followPointer() {
    const { element } = this.layers;
    const report = (event) => {
      const { left, top, width, height } = element.getBoundingClientRect();
      const x = (event.clientX - left) / width;
      const y = (event.clientY - top) / height;
      this.page.point(x >= 0 && x < 1 && y >= 0 && y < 1 ? { x, y } : null);
    };
    element.addEventListener("pointermove", report);
    element.addEventListener("pointerdown", report);
    element.addEventListener("pointerleave", () => this.page.point(null));
  }

  /** Shows the heat at a place of the photo, {x, y} as shares of its sides; null for none. */
  showPoint(point) {
    this.point = point;
    const { heat, raster } = this.layers;
    const isShown = Boolean(point && this.map && heat);
    this.cross.hidden = this.readout.hidden = !isShown;
    if (!isShown) return;
    const { x, y } = point;
    const column = Math.floor(x * raster.width);
    const row = Math.floor(y * raster.height);
    const share = heat[row * raster.width + column];
    const side = share < 0 ? "against" : "for";
    const text = this.signedMap ? `${wholePercentage(Math.abs(share))} ${side}` : `heat ${wholePercentage(share)}`;
    this.readout.textContent = isInside(this.map.box, x, y) ? text : "not seen";
    for (const part of [this.cross, this.readout]) {
      part.style.left = `${100 * x}%`;
      part.style.top = `${100 * y}%`;
    }
    this.readout.classList.toggle("leftwards", x > 0.6);
    this.readout.classList.toggle("upwards", y > 0.7);
  }

  // Some phones allow only videos to fill the screen: the panel then covers the page.
  async toggleFullScreen() {
    if (this.element.classList.contains("covering")) {
      leaveFullScreen();
      return;
    }
    uncover();
    this.element.classList.add("covering");
    try {
      await this.element.requestFullscreen();
    } catch {
      // The panel covers the page.
    }
  }
}

/** Ends a panel's full screen; returns whether there was one. */
export function leaveFullScreen() {
  const isCovering = uncover();
  if (isCovering && document.fullscreenElement) document.exitFullscreen();
  return isCovering;
}

function uncover() {
  const covering = document.querySelector(".panel.covering");
  covering?.classList.remove("covering");
  return covering !== null;
}

/** Ends a panel's full screen when the browser leaves it, for example on Esc. */
export function listenToFullScreen() {
  document.addEventListener("fullscreenchange", () => {
    if (!document.fullscreenElement) uncover();
  });
}
