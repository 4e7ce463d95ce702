// What the networks have in common: sentences, the overlap of each pair of maps, and a picture of where one, some or all
// of them looked. The numbers come from the server; the picture is drawn here.

import { h, shareBar } from "../core/elements.js";
import { isInside, spread } from "../core/heat.js";
import { decimal, wholePercentage } from "../core/numbers.js";
import { together } from "../dom.js";
import { Captions } from "../results/captions.js";
import { PhotoLayers } from "../results/photo_layers.js";

const MOST_PAIRS = 6; // if there are more, only the most and the least alike are shown at first
const EXTREMES = 3;
const FEWEST = 0.35; // level on the colour scale of a place where one network looked; all networks have 1

export class Comparison {
  /** page: colors() and map(model) as for the panels, title(model), captions(). */
  constructor(page) {
    this.page = page;
    this.layers = new PhotoLayers({
      draw: (width, height) => this.counts(width, height),
      colors: page.colors,
    });
    this.sentences = h("div", { class: "sentences" });
    this.captions = new Captions(page.captions);
    this.pairs = h("div", { class: "pairs" });
    this.legend = h("ul", { class: "legend" });
    this.agreement = h(
      "div",
      { class: "agreement" },
      h(
        "figure",
        {},
        this.layers.element,
        h("figcaption", { class: "subtle" }, "The hottest fifth of each map, within what all networks saw"),
        this.legend,
      ),
      this.pairs,
    );
    this.element = h(
      "section",
      { class: "comparison", "aria-labelledby": "comparison-title" },
      h("h2", { id: "comparison-title" }, "What the numbers say"),
      h("div", { class: "words" }, this.sentences, this.captions.element),
      this.agreement,
    );
    this.clear();
  }

  setPhoto(photo) {
    this.layers.setPhoto(photo);
    this.clear();
  }

  /** text: the reason why there is nothing. */
  clear(text = "This appears when all networks are ready.") {
    this.data = null;
    this.captions.reset(false);
    this.sentences.replaceChildren(h("p", { class: "subtle" }, text));
    this.agreement.classList.add("empty");
    this.layers.setBox(null);
    this.layers.redraw();
  }

  show({ sentences, agreement }) {
    this.data = agreement;
    this.captions.reset(true);
    this.sentences.replaceChildren(...sentences.map((text) => h("p", {}, together(text))));
    this.agreement.classList.toggle("empty", !agreement);
    this.agreement.hidden = !agreement;
    if (!agreement) return;
    this.layers.setBox(agreement.region);
    this.layers.redraw();
    this.pairs.replaceChildren(pairsTable(agreement, this.page.title, this));
    this.showLegend(agreement);
  }

  showLegend({ shares, looked_at }) {
    const count = mapsOf(looked_at);
    const colors = this.page.colors();
    const words = [];
    this.legend.replaceChildren(
      ...Array.from({ length: count }, (_, i) => count - i).map((k) => {
        const isAll = k === looked_at.length;
        const who = isAll ? (k === 2 ? "both" : `all ${wordOf(k)}`) : wordOf(k);
        const part = wholePercentage(shares[k]);
        words.push(`${who} ${part}`);
        const swatch = h("span", { class: "swatch" });
        swatch.style.background = cssColor(colors[Math.round(255 * levelOf(k, count))]);
        return h("li", {}, swatch, h("span", {}, who), h("b", {}, part));
      }),
    );
    this.layers.canvas.setAttribute(
      "aria-label",
      `Where the networks looked, as shares of what all of them saw: ${words.join(", ")}`,
    );
  }

  /** How many networks looked at each place, as levels of heat. */
  counts(width, height) {
    if (!this.data) return null;
    const { looked_at, region } = this.data;
    const count = mapsOf(looked_at);
    const counts = new Float32Array(width * height);
    for (const { name, from_heat } of looked_at) {
      const map = this.page.map(name);
      if (from_heat === null || !map) continue;
      const heat = spread(map, width, height);
      for (let i = 0; i < heat.length; i++) {
        // The tolerance allows for the rounding of the map's 16-bit levels.
        if (heat[i] > 0 && heat[i] >= from_heat - 1e-4) counts[i] += 1;
      }
    }
    for (let i = 0; i < counts.length; i++) {
      if (!counts[i]) continue;
      const x = ((i % width) + 0.5) / width;
      const y = (Math.floor(i / width) + 0.5) / height;
      counts[i] = isInside(region, x, y) ? levelOf(counts[i], count) : 0;
    }
    return counts;
  }

  recolor() {
    this.layers.recolor();
    if (this.data) this.showLegend(this.data);
  }
}

const WORDS = ["none", "one", "two", "three", "four", "five", "six"];
const wordOf = (count) => WORDS[count] ?? String(count);

/** The number of networks that have a map. */
const mapsOf = (looked_at) => looked_at.filter(({ from_heat }) => from_heat !== null).length;

const levelOf = (k, count) => (count < 2 ? 1 : FEWEST + ((1 - FEWEST) * (k - 1)) / (count - 1));

function cssColor(packed) {
  const [red, green, blue] = [packed & 255, (packed >> 8) & 255, (packed >> 16) & 255];
  return `rgb(${red} ${green} ${blue})`;
}

/** A button in place of rows, which brings them back. opened(): called then. */
function moreRow(rows, opened) {
  const show = () => {
    opened();
    row.replaceWith(...rows);
    rows[0].tabIndex = -1;
    rows[0].focus();
  };
  const button = h("button", { type: "button", class: "action", onclick: show }, `Show the ${rows.length} pairs between these`);
  const row = h("tr", {}, h("td", { colspan: 3 }, button));
  return row;
}

function pairsTable({ pairs, overlap: mean, words: onAverage }, title, view) {
  const cell = (share, text, words) => {
    if (share === null) return h("td", { title: "There are no two maps to compare" }, h("span", { class: "number" }, "–"));
    return h("td", { title: words }, h("span", { class: "number" }, text(share)), shareBar(Math.max(0, share)));
  };
  const isLong = pairs.length > MOST_PAIRS;
  const shown = isLong ? [...pairs].sort((one, other) => (other.overlap ?? -1) - (one.overlap ?? -1)) : pairs;
  const rows = shown.map(({ names: [first, second], overlap, words, rank_correlation: correlation }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, `${title(first)} – ${title(second)}`),
      cell(overlap, wholePercentage, words),
      cell(correlation, decimal),
    ),
  );
  if (isLong && !view.showsAllPairs) {
    const between = rows.splice(EXTREMES, rows.length - 2 * EXTREMES);
    rows.splice(EXTREMES, 0, moreRow(between, () => (view.showsAllPairs = true)));
  }
  const known = pairs.filter(({ overlap }) => overlap !== null);
  const average = h("tr", {}, h("th", { scope: "row" }, "Average"), cell(mean, wholePercentage, onAverage), h("td", {}));
  return h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "Agreement"),
        h("th", { scope: "col", title: "Intersection over union of the hottest fifths" }, "Overlap"),
        h("th", { scope: "col", title: "Spearman's rank correlation of the maps" }, "Rank corr."),
      ),
    ),
    h("tbody", {}, ...rows),
    known.length > 1 ? h("tfoot", {}, average) : null,
  );
}
