// A section below the panels, which a button opens, and which requests its content from the server.

import { h } from "../core/elements.js";
import { streamExplanations } from "../requests.js";

export class Section {
  /** page: what it needs, see the subclass. name: its CSS class; beside: the elements after its title; list: the CSS class
   * of the row of its cards. */
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

  /** Opens or closes the section; returns whether it is open. A subclass implements `begin()`, called at opening. */
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

  /** Sends a request; its answers go to the subclass's `receive` until another request or `stop`. */
  request(body) {
    this.running?.abort();
    this.running = new AbortController();
    const receive = (answer) => {
      if (answer.problem) this.running = this.requested = undefined; // so that the next try sends a request
      this.receive(answer);
    };
    streamExplanations(body, receive, this.running.signal);
  }

  /** The current request as text, for testing whether the shown content is still up to date. */
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
