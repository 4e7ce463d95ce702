// Compares the effect of the covers with that of the same area at a cold place.

import { h, shareBar } from "../core/elements.js";
import { percentage, wholePercentage } from "../core/numbers.js";
import { streamExplanations, urlOf } from "../requests.js";
import { CoverOutlines, readCover } from "./covers.js";

/** The effect of covers in words: on the probability of the class, and on the map. place: such as "without this place". */
export function effectParts({ cover_effect: effect }, place) {
  if (!effect || effect.before === null || effect.after === null) return [];
  const { before, after, overlap, words } = effect;
  const moved = overlap === null ? "no map to compare" : `before and after, it looks at ${words} (overlap ${wholePercentage(overlap)})`;
  return [
    h("span", { class: "numbers" }, percentage(before), " → ", h("b", {}, percentage(after))),
    h("span", {}, ` ${place}`),
    h("span", { class: "moved" }, moved),
  ];
}

export class CoverComparison {
  /** page: request(), mapRequests(), title(model). act: found(places of the comparison's covers), result(model, result),
   * tell(text). */
  constructor(page, act) {
    Object.assign(this, { page, act });
    this.columns = [new Column("What you covered"), new Column("The same area at a cold place")];
    this.element = h(
      "section",
      { class: "cover-compare", hidden: true, "aria-labelledby": "cover-compare-title" },
      h("h2", { id: "cover-compare-title" }, "Does the place matter?"),
      h(
        "p",
        { class: "subtle" },
        "If the class loses as much without the cold place, its loss says little about the first place. The fill " +
          "itself may matter: try grey.",
      ),
      h("div", { class: "columns" }, ...this.columns.map(({ element }) => element)),
    );
  }

  clear() {
    this.running?.abort();
    this.running = undefined;
    this.element.hidden = true;
    this.act.found([]);
  }

  /** photo: as it is shown. own: the results for the visitor's covers, by model. */
  begin(photo, covers, own) {
    this.clear();
    const [first, second] = this.columns;
    first.setPhoto(photo, covers);
    first.setRows(this.page.mapRequests(), this.page.title);
    second.setRows(this.page.mapRequests(), this.page.title);
    for (const [model, result] of own) first.show(model, result);
    this.element.hidden = false;
    this.running = new AbortController();
    const body = { ...this.page.request(), shown_photo_id: "", elsewhere: true, maps: this.page.mapRequests() };
    streamExplanations(body, (answer) => this.receive(answer), this.running.signal);
  }

  async receive({ problem, covers, refused, photo, map: model, result }) {
    const second = this.columns[1];
    if (problem || refused) {
      this.clear();
      this.act.tell(problem ?? refused);
      return;
    }
    if (covers) {
      this.places = covers;
      this.act.found(covers);
    }
    if (photo) second.setPhoto({ ...photo, url: urlOf(photo.jpeg) }, this.places);
    if (result) {
      second.show(model, result);
      this.act.result(model, result);
    }
  }
}

class Column {
  constructor(title) {
    this.photo = h("img", { alt: `The photo: ${title.toLowerCase()}` });
    this.outlines = new CoverOutlines();
    this.rows = new Map();
    this.list = h("ul");
    this.element = h(
      "figure",
      {},
      h("figcaption", {}, h("b", {}, title)),
      h("div", { class: "framed" }, this.photo, this.outlines.element),
      this.list,
    );
  }

  setPhoto(photo, covers) {
    this.photo.src = photo.url;
    this.outlines.setPhoto(photo);
    this.outlines.show({ covers: covers.map(readCover), draft: null });
  }

  setRows(requests, titleOf) {
    this.rows = new Map(requests.map(({ id, model }) => [id, h("li", {}, h("span", {}, titleOf(model)), " …")]));
    this.list.replaceChildren(...this.rows.values());
  }

  show(id, result) {
    const row = this.rows.get(id);
    const { cover_effect: effect, title, target } = result;
    if (!row || !effect) return;
    row.replaceChildren(
      h("span", {}, `${title}: ${target.name}`),
      h("span", {}, ...effectParts(result, "")),
      shareBar(effect.after ?? 0, effect.before ?? 0),
    );
  }
}
