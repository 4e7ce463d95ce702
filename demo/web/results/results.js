// The results: a panel for each chosen network, filled as the answers arrive, or a message.

import { h } from "../core/elements.js";
import { readCover } from "./covers.js";
import { isOwn } from "../state.js";
import { Panel } from "./panel.js";
import { queueText, urlOf } from "../requests.js";

const URL_KEPT_MS = 10_000; // of a photo that has been replaced
const WAITING_DELAY_MS = 600; // a request that is answered sooner needs no message
const WAITING = "Waiting for the server …";
const NO_RESULT = "No network has a result.";

export class Results {
  /** root: the page's element. notices: see photo_notices.js. page: what panels need, see panel.js. state(): the page's
   * state. parts: the parts that show the same photo and results: comparison, methods, steps, trust, presentation,
   * controls. retry(): sends the request again. */
  constructor({ root, grid, notices, page, state, parts, retry }) {
    Object.assign(this, { root, grid, notices, page, state, parts, retry });
    this.panels = new Map();
    this.photo = null; // as it is shown
    this.early = []; // answers that have arrived before their photo
  }

  get isCurrent() {
    return this.photo !== null && this.photo.id === this.requestedId;
  }

  get predictions() {
    return [...this.panels.values()].flatMap((panel) => panel.result?.top ?? []);
  }

  /** Shows panels with an example before the server has answered, so that the results do not move the page. */
  preview({ name, width, height }) {
    this.photo = { id: "", url: `examples/${name}.jpg`, example: name, width, height, notices: [] };
    for (const part of [this.parts.comparison, this.parts.presentation]) part.setPhoto(this.photo);
    this.showPanels();
  }

  /** Prepares for the answers to a new request. signal: aborts that request. */
  expect(signal) {
    this.signal = signal;
    this.early = [];
    for (const panel of this.panels.values()) panel.cancel();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.showWaiting(), WAITING_DELAY_MS);
  }

  /** Says that the shown results are not yet those of the new request. */
  showWaiting() {
    if (this.signal.aborted) return;
    for (const panel of this.panels.values()) panel.showStatus(WAITING);
  }

  receive(answer) {
    if (answer.id || answer.waiting) clearTimeout(this.waiting);
    if (answer.waiting) {
      this.showQueuePosition(answer.waiting);
      return;
    }
    if (answer.id) this.requestedId = answer.id;
    if (answer.photo) this.showPhoto(answer.photo);
    if (!this.isCurrent) {
      this.early.push(answer);
      return;
    }
    if (answer.id) this.showPanels();
    this.showAnswer(answer);
  }

  /** Shows a photo once the browser has decoded it; until then the browser would show the previous photo under the new
   * heat. */
  async showPhoto({ jpeg, ...photo }) {
    const { signal } = this;
    const url = urlOf(jpeg);
    const image = new Image();
    image.src = url;
    await image.decode();
    if (signal.aborted) {
      URL.revokeObjectURL(url); // a newer request has replaced this one
      return;
    }
    const before = this.photo?.url;
    this.photo = { ...photo, url };
    this.notices.show(photo);
    if (before) setTimeout(() => URL.revokeObjectURL(before), URL_KEPT_MS);
    const { comparison, presentation, methods, steps } = this.parts;
    for (const part of [comparison, presentation, methods, steps]) part.setPhoto(this.photo);
    this.showPanels();
    for (const answer of this.early.splice(0)) this.showAnswer(answer);
  }

  showAnswer({ map: model, network, status, failed, arriving, result, comparison }) {
    const panel = this.panels.get(model);
    if (panel && arriving) panel.showArrival(arriving);
    if (panel && network) panel.showNetwork(network);
    if (panel && status) panel.showStatus(status);
    if (panel && failed) {
      panel.showFailure(failed);
      // Otherwise the sentences would describe maps that are gone.
      if (![...this.panels.values()].some((one) => one.result)) this.parts.comparison.clear(NO_RESULT);
    }
    if (panel && result) {
      const hasArrived = panel.result?.is_arriving && !result.is_arriving;
      panel.showResult(result);
      if (hasArrived) for (const part of [this.parts.methods, this.parts.trust]) part.forget();
      this.parts.presentation.layOut();
    }
    if (comparison) this.parts.comparison.show(comparison);
  }

  showPanels() {
    const { models, photo } = this.state();
    const { presentation, methods, steps, trust, controls } = this.parts;
    this.grid.querySelector(":scope > .message")?.remove();
    this.root.classList.remove("without-photo");
    if (!photo.example) controls.update();
    controls.hidePreview(false);
    for (const [model, panel] of this.panels) {
      if (models.includes(model)) continue;
      panel.element.remove();
      this.panels.delete(model);
    }
    for (const model of models) {
      if (!this.panels.has(model)) this.panels.set(model, new Panel(model, this.page.title(model), this.page));
      this.panels.get(model).setPhoto(this.photo);
    }
    this.drawCovers();
    for (const panel of this.panels.values()) this.parts.cover.setFocusable(panel.layers.element);
    const order = [presentation.tile, ...models.map((model) => this.panels.get(model).element)];
    if (order.some((child, i) => this.grid.children[i] !== child)) this.grid.append(...order);
    this.root.style.setProperty("--count", models.length);
    presentation.layOut();
    methods.refresh();
    steps.refresh();
    trust.refresh();
  }

  showQueuePosition(position) {
    const text = queueText(position);
    if (this.panels.size) for (const panel of this.panels.values()) panel.showStatus(text);
    else this.showMessage(text);
  }

  /** Shows a message in place of all panels. */
  showMessage(text, isProblem = false, mayTryAgain = false) {
    clearTimeout(this.waiting);
    this.panels.clear();
    this.notices.show(null);
    this.photo = null;
    this.requestedId = undefined;
    this.root.classList.add("without-photo");
    this.parts.controls.hidePreview(isOwn(this.state().photo));
    const said = this.grid.querySelector(":scope > .message");
    if (isProblem && said?.firstChild.data === text) return; // not read out again, and its button keeps the focus
    const message = h("p", { class: isProblem ? "message problem" : "message" }, text);
    message.setAttribute("role", isProblem ? "alert" : "status");
    if (mayTryAgain) {
      message.append(h("button", { type: "button", class: "action", onclick: this.retry }, "Try again"));
    }
    this.grid.replaceChildren(message);
  }

  /** Outlines the covers, the place being drawn, and the places covered for comparison. */
  drawCovers(changes = {}) {
    this.drafted = { draft: null, elsewhere: [], ...this.drafted, ...changes };
    const covers = this.state().covers.map(readCover);
    this.root.classList.toggle("with-covers", covers.length > 0);
    for (const panel of this.panels.values()) panel.covers.show({ covers, ...this.drafted });
    this.parts.presentation.outlines.show({ covers, ...this.drafted });
  }

  recolor() {
    for (const panel of this.panels.values()) panel.layers.recolor();
  }
}
