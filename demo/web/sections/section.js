// A section below the panels that a button opens, and that asks the server for what it shows.

import { h } from "../core/elements.js";
import { streamExplanations } from "../requests.js";

export class Section {
  /** page: what it needs, see the subclass. name: its class; beside: what follows its title; list: the class of the row of its cards. */
  constructor(page, { name, title, beside, explanation, list }) {
    this.page = page;
    this.cards = new Map();
    this.title = h("h2", { id: `${name}-title`, tabindex: "-1" }, title);
    this.row = h("div", { class: list, role: "list" });
    this.element = h(
      "section",
      { class: name, hidden: true, "aria-labelledby": this.title.id },
      h("header", {}, this.title, ...beside),
      h("p", { class: "subtle" }, explanation),
      this.row,
    );
  }

  get isOpen() {
    return !this.element.hidden;
  }

  /** Whether it is open afterwards. A subclass has `begin()`, for when it is opened. */
  toggle() {
    this.element.hidden = this.isOpen;
    if (this.isOpen) {
      this.begin();
      this.title.focus({ preventScroll: true });
      const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
      this.element.scrollIntoView({ block: "nearest", behavior });
    } else this.stop();
    return this.isOpen;
  }

  /** The answers go to `receive` of the subclass, until another request or `stop`. */
  request(body) {
    this.running?.abort();
    this.running = new AbortController();
    const receive = (answer) => {
      if (answer.problem) this.running = this.requested = undefined; // the next try asks again
      this.receive(answer);
    };
    streamExplanations(body, receive, this.running.signal);
  }

  /** What a request of now would ask for, as text: whether what is shown is still of these maps. */
  current() {
    return JSON.stringify([this.page.request(), this.page.mapRequests()]);
  }

  stop() {
    this.running?.abort();
    this.running = undefined;
  }

  setCards(cards) {
    this.cards = cards;
    this.row.replaceChildren(...[...cards.values()].map((card) => card.element));
  }
}
