// "How far can I trust this?": every map on the page, checked on demand.

import { h } from "../core/elements.js";
import { decimal, percentage } from "../core/numbers.js";
import { icon, together } from "../dom.js";
import { queueText } from "../requests.js";
import { Section } from "./section.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 200;
const HEIGHT = 110;

const VERDICTS = { holds: "This map holds", fails: "Be careful with this map" };

export class TrustCheck extends Section {
  /** page: models() as [name, title], title(model), cells(), request(). */
  constructor(page) {
    const again = h("button", { type: "button", class: "action" }, "Check these maps");
    super({
      name: "trust",
      title: "How far can I trust this?",
      beside: [again],
      explanation:
        "Each map is tested: does the network rely on the hot places, does the map depend on what the network has " +
        "learned, and does it stay the same when the photo hardly changes? This takes some forty passes per network.",
      list: "checks",
    });
    this.page = page;
    this.again = again;
    again.addEventListener("click", () => this.check());
  }

  begin() {
    this.check();
  }

  /** The maps have changed: removes what was found for those before. */
  clear() {
    this.stop();
    this.checked = undefined;
    this.setCards(new Map());
    this.again.hidden = false;
  }

  refresh() {
    if (this.isOpen && this.checked !== this.current()) this.clear();
  }

  current() {
    return JSON.stringify([this.page.request(), this.page.cells()]);
  }

  check() {
    const current = this.current();
    if (current === this.checked && this.running) return;
    this.clear();
    this.checked = current;
    this.again.hidden = true;
    const cells = this.page.cells().map((cell) => ({ ...cell, trust: true }));
    this.setCards(new Map(cells.map(({ id }) => [id, new Card(this.page.title(id))])));
    this.request({ ...this.page.request(), cells });
  }

  receive({ problem, waiting, cell, status, failed, result, trust }) {
    if (problem) {
      for (const card of this.cards.values()) card.setStatus(problem);
      this.again.hidden = false;
      return;
    }
    if (waiting) for (const card of this.cards.values()) card.setStatus(queueText(waiting));
    const card = this.cards.get(cell);
    if (!card) return;
    if (result) card.explained.textContent = result.target.name;
    if (status || failed) card.setStatus(status ?? failed);
    if (trust) card.show(trust);
  }
}

class Card {
  constructor(title) {
    this.explained = h("span", { class: "subtle" });
    this.status = h("p", { class: "status", role: "status" }, "Waiting");
    this.found = h("div", { class: "found" });
    this.element = h(
      "div",
      { role: "listitem", "aria-label": title },
      h("h3", {}, title, " ", this.explained),
      this.status,
      this.found,
    );
  }

  setStatus(text) {
    this.status.textContent = text;
  }

  show(trust) {
    this.setStatus("");
    this.found.replaceChildren(
      h("p", { class: "verdict", "data-verdict": trust.verdict }, icon(trust.verdict), VERDICTS[trust.verdict]),
      h("ul", { class: "reasons" }, ...trust.reasons.map(reasonItem)),
      h(
        "div",
        { class: "plots" },
        plot("Taken out", trust.deletion, trust.random_deletion, "lower is better"),
        plot("Put in", trust.insertion, trust.random_insertion, "higher is better"),
      ),
      h("p", { class: "key subtle" }, h("i", { class: "by-heat" }), "hottest first ", h("i", { class: "by-chance" }), "random order"),
      numbers(trust),
    );
  }
}

/** What one check has found. The icon is read as a word. */
function reasonItem({ passed, text }) {
  const [name, word] = passed ? ["holds", "Passed: "] : ["fails", "Failed: "];
  return h(
    "li",
    { "data-verdict": name },
    icon(name),
    h("span", {}, h("span", { class: "visually-hidden" }, word), together(text[0].toUpperCase() + text.slice(1))),
  );
}

/** The class's probability, from none of the pixels changed to all. */
function plot(title, byHeat, byChance, better) {
  const area = (curve) => curve.area.toFixed(2);
  const text = `Hottest places ${title.toLowerCase()}: area ${area(byHeat)}, at random ${area(byChance)}; ${better}`;
  const drawing = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text });
  drawing.append(
    draw("path", { class: "axes", d: `M0.5 0V${HEIGHT - 0.5}H${WIDTH}` }),
    draw("path", { class: "by-chance", d: path(byChance.probabilities) }),
    draw("path", { class: "by-heat", d: path(byHeat.probabilities) }),
  );
  return h(
    "figure",
    {},
    h("figcaption", {}, h("b", {}, title)),
    drawing,
    h("p", { class: "areas" }, h("b", {}, area(byHeat)), ", random ", h("b", {}, area(byChance))),
    h("p", { class: "areas subtle" }, `area; ${better}`),
  );
}

function path(probabilities) {
  const last = probabilities.length - 1;
  const at = (probability, i) => `${(i / last) * WIDTH} ${(2 + (1 - probability) * (HEIGHT - 4)).toFixed(1)}`;
  return `M${probabilities.map(at).join("L")}`;
}

function draw(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function numbers({ sanity, shifts, noises, probability, shown_alone }) {
  const row = (name, value) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "number" }, value));
  const lowest = (found) => written(Math.min(...found.map((one) => one ?? 0)));
  const written = (correlation) => (correlation === null ? "no map" : decimal(correlation));
  const nameOf = (part, i) =>
    i === 0 ? "head random" : i === sanity.length - 1 ? "all weights random" : `… and ${part}`;
  const correlations = [
    h("tr", {}, h("th", { colspan: 2, scope: "rowgroup", class: "subtle" }, "Rank correlation with this map")),
    row("photo shifted by 2\u00a0%", shifts.length && lowest(shifts)),
    row("a little noise added", noises.length && lowest(noises)),
    ...sanity.map(({ part, correlation }, i) => row(nameOf(part, i), written(correlation))),
  ];
  return h(
    "table",
    {},
    h(
      "tbody",
      {},
      row("Only the heat shown", `${percentage(probability)} → ${percentage(shown_alone)}`),
      ...(sanity.length ? correlations : []),
    ),
  );
}
