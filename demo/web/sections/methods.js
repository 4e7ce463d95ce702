// Many maps of one network and one class: every method and every detail, side by side in a row.

import { h } from "../core/elements.js";
import { spread } from "../core/heat.js";
import { PhotoLayers, readMap } from "../results/photo_layers.js";
import { Section } from "./section.js";

export class Methods extends Section {
  /** page: settings(): those of the maps, with all methods and details; colors(); models() as [name, title];
   * hasTokens(model): whether a network's maps are made of tokens; request(): without its maps; applyMethod(method,
   * detail): applies them to all panels. */
  constructor(page) {
    const network = h("select", { id: "compared-network" });
    const more = h("button", { type: "button", class: "action", "aria-expanded": "false" }, "More methods");
    super(page, {
      name: "methods",
      title: "Methods and detail",
      beside: [h("label", { for: network.id }, "Network"), network, more],
      explanation:
        "The same class with every method, and with the chosen method at the other levels of detail. " +
        "Choose one to use it in all panels. Slow methods run the network up to thousands of times.",
      list: "maps",
    });
    this.network = network;
    network.addEventListener("change", () => this.refresh());
    this.more = more;
    more.addEventListener("click", () => this.setMore(!this.showsMore));
  }

  get showsMore() {
    return this.more.getAttribute("aria-expanded") === "true";
  }

  /** Shows or hides the rarely used methods. */
  setMore(isShown) {
    this.more.setAttribute("aria-expanded", String(isShown));
    const known = new Set(this.cards.values());
    this.refresh();
    const first = [...this.cards.values()].find((card) => !known.has(card));
    first?.element.scrollIntoView({ block: "nearest", inline: "start" });
  }

  begin() {
    this.refresh();
  }

  stop() {
    super.stop();
    this.requested = undefined;
  }

  /** Requests the maps again after a network has replaced its stand-in. */
  forget() {
    this.requested = undefined;
    for (const card of this.cards.values()) card.shows = undefined;
    this.refresh();
  }

  setPhoto(photo) {
    this.photo = photo;
    for (const card of this.cards.values()) card.layers.setPhoto(photo);
  }

  /** Requests all maps again if what they depend on has changed. */
  refresh() {
    if (!this.isOpen) return;
    const models = this.page.models();
    const chosen = models.some(([name]) => name === this.network.value)
      ? this.network.value
      : models[0]?.[0];
    const options = models.map(([name, title]) => h("option", { value: name }, title));
    this.network.replaceChildren(...options);
    if (!chosen || !this.photo) return;
    this.network.value = chosen;
    const maps = this.mapRequests(chosen);
    const request = { ...this.page.request(), maps };
    const requested = JSON.stringify(request);
    if (requested === this.requested) return;
    this.requested = requested;
    this.makeCards(maps);
    const missing = maps.filter(({ id }) => !this.cards.get(id).map);
    // Slow methods last, because they wait for each other in the queue.
    const passes = ({ method }) => this.page.settings().methods.find(({ name }) => name === method).passes_per_channel;
    missing.sort((one, other) => passes(one) - passes(other));
    if (missing.length) this.request({ ...request, maps: missing });
    else super.stop();
  }

  mapRequests(model) {
    const { methods, details, method, detail, contrast, layer } = this.page.settings();
    const common = { model, contrast, layer };
    const fits = ({ needs_tokens }) => !needs_tokens || this.page.hasTokens(model);
    const shown = methods.filter((one) => one.name === method || one.is_common || (this.showsMore && fits(one)));
    const byMethod = shown.map(({ name }) => ({ ...common, id: `method ${name}`, method: name, detail }));
    const others = details.filter((times) => times !== detail);
    return [
      ...byMethod,
      ...others.map((times) => ({ ...common, id: `detail ${times}`, method, detail: times })),
    ];
  }

  makeCards(requests) {
    this.setCards(new Map(requests.map(({ id }) => [id, this.cards.get(id) ?? this.makeCard()])));
    const rest = this.page.request();
    for (const request of requests) {
      const card = this.cards.get(request.id);
      const { method, detail } = this.page.settings();
      const isCurrent = request.method === method && request.detail === detail;
      card.name.textContent = this.page.nameOf(request);
      card.button.setAttribute("aria-pressed", String(isCurrent));
      // Keeps a map that is still valid, for example if only more methods are shown.
      const shows = JSON.stringify({ ...rest, request });
      if (card.shows === shows && card.map) continue;
      card.shows = shows;
      card.request = request;
      card.map = null;
      card.status.textContent = "Waiting";
      card.layers.setPhoto(this.photo);
      card.layers.redraw();
    }
  }

  makeCard() {
    const card = {
      name: h("span", { class: "name" }),
      status: h("span", { class: "status" }),
    };
    card.layers = new PhotoLayers({
      draw: (width, height) => card.map && spread(card.map, width, height),
      colors: this.page.colors,
    });
    card.layers.canvas.setAttribute("role", "presentation");
    card.layers.canvas.removeAttribute("aria-label");
    card.button = h(
      "button",
      { type: "button", onclick: () => this.page.applyMethod(card.request.method, card.request.detail) },
      h("span", { class: "frame" }, card.layers.element, card.status),
      card.name,
    );
    card.element = h("div", { role: "listitem" }, card.button);
    return card;
  }

  receive(answer) {
    if (answer.problem) {
      for (const card of this.cards.values()) card.status.textContent = answer.problem;
      return;
    }
    const card = this.cards.get(answer.map);
    if (!card) return;
    if (answer.status) card.status.textContent = answer.status;
    if (answer.failed) card.status.textContent = answer.failed;
    if (answer.result) {
      card.map = readMap(answer.result);
      card.status.textContent = answer.result.degenerate;
      card.layers.setBox(answer.result.box);
      card.layers.redraw();
    }
  }

  recolor() {
    for (const card of this.cards.values()) card.layers.recolor();
  }
}
