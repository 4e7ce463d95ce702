// The dialog with one picture, larger, and all details of its rows.

const SIGNS = { holds: "✓", unclear: "?", fails: "✗" };

const CHECKS = {
  deletion: "Deletion, area",
  random_deletion: "… by the map laid elsewhere",
  insertion: "Insertion, area",
  random_insertion: "… by the map laid elsewhere",
  average_drop: "Share of the probability lost when only the heat is shown",
  road: "ROAD, from −0.5 to 0.5",
  arcc: "ARCC, from 0 to 1",
};

const VIEWS = { crop: "published preprocessing", whole: "whole photo" };

/** A value of a data set as text. */
function words(value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.map(words).join(", ");
  if (typeof value === "object") return Object.values(value).map(words).join(" ");
  return typeof value === "number" ? decimal(value) : String(value);
}

function settingsText({ method, detail, view, layer }) {
  const parts = [index.methods[method] ?? method];
  if (detail > 1) parts.push(`detail ${detail}\u00a0×`);
  parts.push(VIEWS[view] ?? view);
  if (layer) parts.push(`layer ${layer}`);
  return parts.filter(Boolean).join(", ");
}

/** The URL of a file beside the report, whatever characters its path has. */
const hrefOf = (path) => `./${path.split("/").map(encodeURIComponent).join("/")}`;

/** The outcome of a check as a sign, hidden from screen readers, which read a word instead. */
const sign = (outcome) => h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[outcome] ?? "");

/** The result of one check. Data sets of earlier versions have only `passed`. */
function reasonItem({ outcome = null, passed, text }) {
  const known = outcome ?? (passed ? "holds" : "fails");
  const word = h("span", { class: "visually-hidden" }, OUTCOMES[known] ?? "");
  return h("li", { "data-outcome": known }, sign(known), h("span", {}, word, capitalised(text ?? "")));
}

class Details {
  /** step(by): shows the picture that many places further; closed(): called after closing. */
  constructor(dialog, { step, closed }) {
    this.dialog = dialog;
    this.step = step;
    dialog.addEventListener("close", closed);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by && !event.ctrlKey && !event.metaKey && !event.altKey) step(by);
    });
    addEventListener("resize", () => this.draw());
    document.addEventListener("DOMContentLoaded", () => this.isOpen && this.show(this.picture, this.position, this.count));
  }

  get isOpen() {
    return this.dialog.open;
  }

  show(i, position, count) {
    Object.assign(this, { picture: i, position, count });
    this.line = lineOf(i);
    const grade = new OverlapGrade();
    grade.show(i);
    const focused = this.dialog.contains(document.activeElement) ? document.activeElement.dataset.act : "";
    const move = (by, label, text) =>
      h(
        "button",
        {
          type: "button",
          class: "tool",
          "aria-label": label,
          title: label,
          "data-act": label,
          disabled: position + by < 0 || position + by >= count,
          onclick: () => this.step(by),
        },
        text,
      );
    this.layersOfRows = [];
    this.dialog.replaceChildren(
      h(
        "header",
        {},
        h("h2", { id: "details-title" }, h("bdi", { dir: "ltr" }, pictures.path[i])),
        h(
          "div",
          { class: "tools" },
          move(-1, "Previous picture", "‹"),
          h("span", { class: "subtle" }, `${thousands(position + 1)} of ${thousands(count)}`),
          move(1, "Next picture", "›"),
          h(
            "button",
            {
              type: "button",
              class: "tool",
              "aria-label": "Close",
              title: "Close",
              "data-act": "Close",
              onclick: () => this.dialog.close(),
            },
            "✕",
          ),
        ),
      ),
      ...(this.line?.notices ?? []).map((notice) => h("p", { class: "notice" }, notice)),
      ...(HAS_LABELS ? [h("p", { class: "tags" }, h("span", { class: "tag label" }, labelText(i)))] : []),
      h("p", { class: "tags" }, gradeOf(i) ? networksLook(i) : null, grade.element, pictures.differ[i] ? h("span", { class: "tag" }, "classes differ") : null),
      h("div", { class: "networks" }, ...this.networks()),
      h(
        "p",
        { class: "subtle" },
        pictures.width[i] ? `The photo has ${thousands(pictures.width[i])} × ${thousands(pictures.height[i])} pixels; this is its thumbnail. ` : "",
        this.line?.rows.some(({ overlay }) => overlay) ? "Links work as long as this file stays in its folder." : "",
      ),
    );
    if (!this.dialog.open) this.dialog.showModal();
    const again = [...this.dialog.querySelectorAll("[data-act]")].find(({ dataset }) => dataset.act === focused);
    (again && !again.disabled ? again : query("[data-act=Close]", this.dialog)).focus();
    this.dialog.scrollTop = 0;
    this.draw();
  }

  networks() {
    const start = firstRow[this.picture];
    if (pictures.failed[this.picture] === ALL_FAILED) {
      return [h("p", { class: "error" }, this.line?.rows[0].error)];
    }
    return Array.from({ length: pictures.rows[this.picture] }, (_, n) =>
      this.network(start + n, this.line?.rows[n] ?? {}),
    );
  }

  network(row, line) {
    const network = networkOf(row);
    const name = classOf(row);
    const layers = new PhotoLayers();
    if (name !== undefined) {
      layers.setLabel(heatLabel(row, line));
      this.layersOfRows.push([layers, line]);
    }
    const rank = rows.rank[row];
    const number = [percentage(rows.probability[row]), rank && `rank ${rank}`].filter(Boolean).join(", ");
    const settings = index.settings[line.settings];
    return h(
      "section",
      { class: "network" },
      network && h("h3", {}, network.title),
      network?.standsInFor && h("p", { class: "subtle" }, `stands in for ${network.standsInFor}`),
      line.error && h("p", { class: "error" }, line.error),
      name === undefined ? null : h("div", { class: "frame" }, layers.element),
      name === undefined ? null : h("p", { class: "class" }, h("strong", {}, name), ` ${number}`),
      rows.outcome[row] !== -1 ? this.outcome(row, line.label ?? []) : null,
      whereOf(row) && h("p", { class: "where" }, `heat: ${whereOf(row)}`),
      line.top?.length ? this.top(line.top, row) : null,
      line.trust ? this.trust(line.trust) : null,
      settings && h("p", { class: "subtle" }, settingsText(settings)),
      line.overlay &&
        h(
          "p",
          {},
          h("a", { href: hrefOf(line.overlay), target: "_blank", rel: "noopener" }, "Full-size overlay"),
        ),
    );
  }

  outcome(row, [rank, probability]) {
    const shown = new Outcome();
    shown.show(row);
    if (rank > 1) shown.element.append(`: ${index.classes[rows.label[row]]} has rank ${rank}, ${percentage(probability)}`);
    return shown.element;
  }

  top(predictions, row) {
    return h(
      "ol",
      { class: "top", "aria-label": "Most probable classes" },
      ...predictions.map(([number, probability]) => {
        const isExplained = number === rows.class[row];
        return h(
          "li",
          { class: isExplained ? "explained" : null },
          h("span", {}, index.classes[number]),
          h("span", { class: "probability" }, percentage(probability)),
          shareBar(probability ?? 0),
        );
      }),
    );
  }

  trust({ verdict, reasons, sentence, ...checks }) {
    const known = Object.entries(CHECKS).filter(([name]) => checks[name] !== null && checks[name] !== undefined);
    return h(
      "div",
      { class: "trust" },
      ...(VERDICTS[verdict] && reasons?.length
        ? [
            h("p", { class: "verdict", "data-outcome": verdict }, sign(verdict), VERDICTS[verdict]),
            h("ul", {}, ...reasons.map(reasonItem)),
          ]
        : [sentence && h("p", {}, Array.isArray(sentence) ? sentence.join(" ") : sentence)]),
      known.length
        ? h(
            "table",
            {},
            h("caption", { class: "visually-hidden" }, "How far this map can be trusted"),
            h("tbody", {}, ...known.map(([name, label]) => h("tr", {}, h("th", { scope: "row" }, label), h("td", {}, words(checks[name]))))),
          )
        : null,
    );
  }

  draw() {
    if (!this.isOpen || !this.line) return;
    for (const [layers, line] of this.layersOfRows) {
      const frame = layers.element.parentElement;
      layers.fit(ratioOf(this.picture), frame.clientWidth, Math.max(160, innerHeight * 0.45));
      layers.draw(this.line.thumbnail, line);
    }
  }
}
