// "How is this map made?": the paper's three steps, for every map on the page.

import { queueText } from "../requests.js";
import { Section } from "./section.js";
import { StepsCard } from "./steps_card.js";

export class Steps extends Section {
  /** page: mapRequests(), request(), title(model), methodNow(), overlayColors(), signedColors(). */
  constructor(page) {
    super(page, {
      name: "steps",
      title: "How is this map made?",
      beside: [],
      explanation:
        "The paper's three steps, with this photo and this network. The map on the page was made from exactly " +
        "these numbers.",
      list: "made",
    });
  }

  setPhoto(photo) {
    this.photo = photo;
  }

  begin() {
    this.requested = this.current();
    const maps = this.page.mapRequests().map((one) => ({ ...one, signed: false, steps: true }));
    const settings = { photo: this.photo, method: this.page.methodNow(), page: this.page };
    this.setCards(new Map(maps.map(({ id }) => [id, new StepsCard(this.page.title(id), settings)])));
    this.request({ ...this.page.request(), maps });
  }

  /** Goes to the next or the previous step: a presentation shows one step of one network at a time. by: 1 or -1. */
  walk(by) {
    const cards = [...this.cards.values()];
    if (!cards.length) return;
    const current = cards.findIndex((card) => card.isCurrent);
    const card = cards[Math.max(0, current)];
    if (current >= 0 && card.walk(by)) return;
    const next = cards[current < 0 ? 0 : Math.min(cards.length - 1, Math.max(0, current + by))];
    if (next === card && current >= 0) return;
    card.leave();
    next.enter(by < 0);
  }

  /** Shows how the current maps are made, if they have changed. */
  refresh() {
    if (this.isOpen && this.requested !== this.current()) this.begin();
  }

  receive({ problem, waiting, map, status, failed, result }) {
    if (problem || waiting) {
      for (const card of this.cards.values()) card.setStatus(problem ?? queueText(waiting));
      return;
    }
    const card = this.cards.get(map);
    if (!card) return;
    if (status || failed) card.setStatus(status ?? failed);
    if (result) card.show(result);
    if (result && ![...this.cards.values()].some(({ isCurrent }) => isCurrent)) this.walk(1);
  }
}
