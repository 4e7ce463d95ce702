// "How far can I trust this?": checks every map on the page on demand.

import { h } from "../core/elements.js";
import { queueText } from "../requests.js";
import { Section } from "./section.js";
import { TrustCard } from "./trust_card.js";

export class TrustCheck extends Section {
  /** page: models() as [name, title], title(model), mapRequests(), request(). */
  constructor(page) {
    const again = h("button", { type: "button", class: "action" }, "Check these maps");
    super(page, {
      name: "trust",
      title: "How far can I trust this?",
      beside: [again],
      explanation:
        "Each map is tested: does the network rely on the hot places more than on others, does the map depend on what " +
        "the network has learned, and does it stay the same when the photo hardly changes? The verdict is the worst of " +
        "the three outcomes. This takes some forty passes per network.",
      list: "checks",
    });
    this.again = again;
    again.addEventListener("click", () => this.check());
  }

  begin() {
    this.check();
  }

  /** Removes the results for maps that have changed. */
  clear() {
    this.stop();
    this.checked = undefined;
    this.setCards(new Map());
    this.again.hidden = false;
  }

  /** Removes the results after a network has replaced its stand-in. */
  forget() {
    if (this.isOpen) this.clear();
  }

  refresh() {
    if (this.isOpen && this.checked !== this.current()) this.clear();
  }

  /** The sentence about a network's current map; undefined if the map was not checked. */
  sentenceOf(model) {
    return this.checked === this.current() ? this.cards.get(model)?.sentence : undefined;
  }

  check() {
    const current = this.current();
    if (current === this.checked && this.running) return;
    this.clear();
    this.checked = current;
    this.again.hidden = true;
    const maps = this.page.mapRequests().map((one) => ({ ...one, trust: true }));
    this.setCards(new Map(maps.map(({ id }) => [id, new TrustCard(this.page.title(id))])));
    this.request({ ...this.page.request(), maps });
  }

  receive({ problem, waiting, map, status, failed, result, trust }) {
    if (problem) {
      for (const card of this.cards.values()) card.setStatus(problem);
      this.again.hidden = false;
      return;
    }
    if (waiting) for (const card of this.cards.values()) card.setStatus(queueText(waiting));
    const card = this.cards.get(map);
    if (!card) return;
    if (result) card.setExplained(result.title, result.target.name, result.rather_than);
    if (status || failed) card.setStatus(status ?? failed);
    if (trust) card.show(trust);
  }
}
