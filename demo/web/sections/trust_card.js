// The trust checks of one map: the verdict, what the network says about parts of the photo, a reason for each check, the
// curves, and numbers.

import { h, shareBar, svg } from "../core/elements.js";
import { decimal, decimalBeside, percentage, wholePercentage } from "../core/numbers.js";
import { capitalised, OUTCOMES, VERDICTS } from "../core/verdicts.js";
import { icon, together } from "../dom.js";

const WIDTH = 200;
const HEIGHT = 110;

export class TrustCard {
  constructor(title) {
    this.title = h("span", {}, title);
    this.explained = h("span", { class: "subtle" });
    this.status = h("p", { class: "status", role: "status" }, "Waiting");
    this.found = h("div", { class: "found" });
    this.element = h(
      "div",
      { role: "listitem", "aria-label": title },
      h("h3", {}, this.title, " ", this.explained),
      this.status,
      this.found,
    );
  }

  setStatus(text) {
    this.status.textContent = text;
  }

  /** title: of the network that ran, which may stand in for another; name: of the explained class; contrast: a text
   * "rather than …", or "". */
  setExplained(title, name, contrast) {
    this.title.textContent = title;
    this.element.setAttribute("aria-label", title);
    this.name = name;
    this.explained.textContent = `${name} ${contrast}`.trim();
  }

  show(trust) {
    const { verdict, reasons, probability, without, alone, pictures } = trust;
    const name = this.name;
    this.sentence = trust.sentence;
    this.setStatus("");
    this.found.replaceChildren(
      h("p", { class: "verdict", "data-outcome": verdict }, icon(verdict), VERDICTS[verdict]),
      h(
        "div",
        { class: "pair" },
        altered("Without its hottest", "blurred", without, pictures.without, name, probability),
        altered("Only its hottest", "sharp", alone, pictures.alone, name, probability),
      ),
      h("ul", { class: "reasons" }, ...reasons.map(reasonItem)),
      h(
        "div",
        { class: "pair" },
        plot("Hottest places blurred", "all blurred", trust.deletion, trust.random_deletion, "lower is better"),
        plot("Only hottest places shown", "all shown", trust.insertion, trust.random_insertion, "higher is better"),
      ),
      key(trust.lead, name),
      numbers(trust),
      measures(trust.measures),
    );
  }
}

/** A part of the photo, and what the network says about it. name: the explained class; before: its probability for the
 * whole photo. */
function altered(title, how, { share, probability, top: [first] }, jpeg, name, before) {
  const heading = `${title} ${wholePercentage(share)}`;
  return h(
    "figure",
    { class: "altered" },
    h("img", { src: `data:image/jpeg;base64,${jpeg}`, alt: `The photo with its hottest ${wholePercentage(share)} ${how}` }),
    h("figcaption", {}, h("b", {}, heading)),
    h(
      "p",
      { class: "change" },
      h("span", {}, name),
      h("span", {}, percentage(before), " → ", h("b", {}, percentage(probability))),
    ),
    shareBar(probability, before),
    h("p", { class: "subtle" }, "top class: ", h("span", {}, first.name), " ", percentage(first.probability)),
  );
}

/** The outcome of one check. Screen readers read the icon as a word. */
function reasonItem({ outcome, text }) {
  return h(
    "li",
    { "data-outcome": outcome },
    icon(outcome),
    h(
      "span",
      {},
      h("span", { class: "visually-hidden" }, OUTCOMES[outcome]),
      together(capitalised(text)),
    ),
  );
}

/** A plot of the class's probability by the share of changed pixels, from 0 to 1. end: the label at 1; elsewhere: the
 * band of the map laid elsewhere, or null. */
function plot(title, end, byHeat, elsewhere, better) {
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": described(title, byHeat, elsewhere) });
  drawing.append(svg("path", { class: "grid", d: `M0 ${y(0.5)}H${WIDTH}M0 ${y(1)}H${WIDTH}` }));
  if (elsewhere) drawing.append(...bandOf(elsewhere));
  drawing.append(
    svg("path", { class: "by-heat", d: `M${points(byHeat.shares, byHeat.probabilities).join("L")}` }),
    ...byHeat.shares.map((share, i) => svg("circle", { cx: share * WIDTH, cy: y(byHeat.probabilities[i]), r: 3.5 })),
    svg("path", { class: "axes", d: `M0 ${y(1)}V${y(0)}H${WIDTH}` }),
  );
  const area = (text, curve) => curve && h("span", {}, text, " ", h("b", {}, curve.area.toFixed(2)));
  return h(
    "figure",
    { class: "plot" },
    h("figcaption", {}, h("b", {}, title)),
    h(
      "div",
      { class: "framed" },
      h("span", { class: "most", "aria-hidden": "true" }, "100\u00a0%"),
      h("span", { class: "least", "aria-hidden": "true" }, "0"),
      drawing,
      h("span", { class: "none", "aria-hidden": "true" }, "none"),
      h("span", { class: "all", "aria-hidden": "true" }, end),
    ),
    h("p", { class: "areas" }, area("area", byHeat), area("elsewhere", elsewhere)),
    h("p", { class: "subtle" }, better),
  );
}

function bandOf({ shares, probabilities, lowest, highest }) {
  const around = [...points(shares, highest), ...points(shares, lowest).reverse()];
  return [
    svg("path", { class: "band", d: `M${around.join("L")}Z` }),
    svg("path", { class: "elsewhere", d: `M${points(shares, probabilities).join("L")}` }),
  ];
}

const y = (probability) => 4 + (1 - probability) * (HEIGHT - 8);
const points = (shares, values) => shares.map((share, i) => `${share * WIDTH} ${y(values[i]).toFixed(1)}`);

/** The curves in words, for screen readers. */
function described(title, byHeat, elsewhere) {
  const at = ({ shares }, of) => shares.map((share, i) => `${of(i)} at ${wholePercentage(share)}`).join(", ");
  const range = (i) => `${percentage(elsewhere.lowest[i])} to ${percentage(elsewhere.highest[i])}`;
  const own = at(byHeat, (i) => percentage(byHeat.probabilities[i]));
  const others = elsewhere ? `; with the map laid elsewhere ${at(elsewhere, range)}` : "";
  return `${title}, probability by the share of the picture: ${own}${others}`;
}

function key(lead, name) {
  const text = `probability of “${name}”, hottest places first`;
  const elsewhere = lead && `the same map laid at ${lead.count} other places: mean and range`;
  return h(
    "ul",
    { class: "key subtle" },
    h("li", {}, h("i", { class: "by-heat" }), text),
    elsewhere && h("li", {}, h("i", { class: "elsewhere" }), elsewhere),
  );
}

/** Measures known from the literature, which do not affect the verdict. */
function measures(found) {
  return h(
    "ul",
    { class: "measures subtle" },
    ...found.map(({ name, value, text }) =>
      h("li", {}, h("b", {}, name, "\u00a0", decimal(value)), ": ", together(text), "."),
    ),
  );
}

function numbers({ sanity, random_weights, shifts, noises, limits, probability, shown_alone }) {
  const row = (name, value) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "number" }, value));
  const lowest = (found) => {
    const measured = found.filter((one) => one !== null);
    if (!measured.length) return "no map";
    const lost = found.length - measured.length;
    return written(Math.min(...measured)) + (lost ? `, no map in ${lost} of ${found.length}` : "");
  };
  const written = (correlation) => (correlation === null ? "no map" : decimalBeside(correlation, limits));
  const nameOf = (part, i) =>
    i === 0 ? "head random" : i === sanity.length - 1 ? "all weights random" : `… and ${part}`;
  const again = random_weights.slice(1);
  const correlations = [
    h("tr", {}, h("th", { colspan: 2, scope: "rowgroup", class: "subtle" }, "Rank correlation with this map")),
    row("photo shifted by 2\u00a0%", shifts.length && lowest(shifts)),
    row("a little noise added", noises.length && lowest(noises)),
    ...sanity.map(({ part, correlation }, i) => row(nameOf(part, i), written(correlation))),
    again.length ? row("other random weights", again.map(written).join(", ")) : null,
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
