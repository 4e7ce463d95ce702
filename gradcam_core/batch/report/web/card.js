// A card of the list: one picture, how much its networks agree, and the result of each network.

/** With more than two networks, the grade is that of the mean overlap, and may be that of no pair. */
const networksLook = (i) => (pictures.rows[i] > 2 ? "On average, the networks look at" : "The networks look at");

/** The grade of a picture's overlap: two circles that are further apart for less overlap, and words. */
class OverlapGrade {
  constructor() {
    this.circles = h("span", { class: "circles", "aria-hidden": "true" }, h("i"), h("i"));
    this.words = h("span");
    this.number = h("b");
    this.unit = h("span", { class: "unit" });
    this.element = h("span", { class: "overlap-grade" }, this.circles, this.words, this.unit, this.number);
  }

  show(i) {
    const grade = gradeOf(i);
    this.element.hidden = !grade;
    if (!grade) return;
    const overlap = pictures.agreement[i];
    this.element.dataset.kind = grade.group;
    this.circles.style.setProperty("--apart", `${(1 - overlap) * 0.75}em`);
    this.words.textContent = grade.words;
    this.unit.textContent = pictures.rows[i] > 2 ? "mean overlap" : "overlap";
    this.number.textContent = wholePercentage(overlap);
    this.element.title = `${networksLook(i)} ${grade.words}: ${this.unit.textContent} ${wholePercentage(overlap)}`;
  }
}

/** Whether a network is right about a picture's label: a sign and words. */
class Outcome {
  static WORDS = {
    [LACKING]: ["–", "lacks this class", "neither"],
    [WRONG]: ["✗", "wrong", "fails"],
    [CORRECT]: ["✓", "correct", "holds"],
    [ELSEWHERE]: ["✓", "correct, heat elsewhere", "holds"],
  };

  constructor() {
    this.sign = h("span", { class: "sign", "aria-hidden": "true" });
    this.words = h("span");
    this.element = h("p", { class: "outcome" }, this.sign, " ", this.words);
  }

  show(row) {
    const [sign, words, outcome] = Outcome.WORDS[rows.outcome[row]] ?? ["", "", ""];
    this.element.hidden = !HAS_LABELS;
    this.element.dataset.outcome = outcome;
    this.sign.textContent = sign;
    // If a class other than the predicted one is explained, only the prediction is correct or wrong.
    const whose = rows.outcome[row] >= 0 && rows.rank[row] > 1 ? "prediction " : "";
    this.words.textContent = this.element.title = whose + words;
  }
}

/** One network's part of a card. */
class NetworkPart {
  constructor() {
    this.layers = new PhotoLayers();
    this.title = h("p", { class: "title" });
    this.error = h("p", { class: "error" });
    this.frame = h("div", { class: "frame" }, this.layers.element, this.error);
    this.name = h("strong");
    this.number = h("span", { class: "probability" });
    this.where = h("p", { class: "where" });
    this.outcome = new Outcome();
    this.element = h(
      "div",
      { class: "network" },
      this.title,
      this.frame,
      h("p", { class: "class" }, this.name),
      this.number,
      this.outcome.element,
      this.where,
    );
  }

  /** isOfAll: whether it stands for all networks, which failed for the same reason. */
  show(row, ratio, size, isOfAll) {
    const title = (!isOfAll && networkOf(row)?.key) || "";
    const name = classOf(row);
    this.title.textContent = this.title.title = title;
    this.name.textContent = name ?? "";
    this.name.title = name ?? "";
    const rank = rows.rank[row];
    this.number.textContent = percentage(rows.probability[row]) + (rank > 1 ? `, rank ${rank}` : "");
    this.where.textContent = whereOf(row) && `heat: ${whereOf(row)}`;
    this.where.title = whereOf(row);
    this.outcome.show(row);
    this.isExplained = name !== undefined;
    this.error.textContent = "";
    this.frame.classList.toggle("failed", !this.isExplained);
    this.layers.clear();
    this.layers.element.hidden = !this.isExplained;
    this.layers.fit(ratio, size.width, size.height);
    this.layers.setLabel("");
    this.row = row;
  }

  draw(thumbnail, line) {
    this.error.textContent = line.error ?? "";
    this.error.title = line.error ?? "";
    this.frame.classList.toggle("failed", Boolean(line.error));
    if (!this.isExplained) return;
    this.layers.setLabel(heatLabel(this.row, line));
    this.layers.draw(thumbnail, line);
  }
}

/** The heat in words, for screen readers. settings: as in the network's part of the picture's line. */
function heatLabel(row, { settings }) {
  const method = index.settings[settings]?.method;
  const of = index.classless.includes(method) ? `by ${index.methods[method]}, which ignores the class` : `for the class ${classOf(row)}`;
  return `Heat of ${networkOf(row)?.title} ${of}${whereOf(row) && `: ${whereOf(row)}`}`;
}

const labelText = (i) => (labelOf(i) === undefined ? "no label" : `label: ${labelOf(i)}`);

const ratioOf = (i) => pictures.width[i] / pictures.height[i] || 1;

class Card {
  constructor(act) {
    this.folder = h("span", { class: "folder" });
    this.file = h("span", { class: "file" });
    this.button = h(
      "button",
      { type: "button", class: "open", tabindex: "-1", onclick: () => act(this.position) },
      h("bdi", { dir: "ltr" }, this.folder, this.file),
    );
    this.grade = new OverlapGrade();
    this.differ = h("span", { class: "tag" }, "classes differ");
    this.failed = h("span", { class: "tag failed" }, "error");
    this.label = h("span", { class: "tag label" });
    this.networks = h("div", { class: "networks" });
    this.parts = [];
    this.element = h(
      "li",
      { class: "card" },
      h("h2", {}, this.button),
      h("p", { class: "tags" }, this.label, this.grade.element, this.differ, this.failed),
      this.networks,
    );
  }

  show(i, position, count, size) {
    this.picture = i;
    this.position = position;
    const path = pictures.path[i];
    const start = path.lastIndexOf("/") + 1;
    this.folder.textContent = path.slice(0, start);
    this.file.textContent = path.slice(start);
    this.button.title = path;
    this.element.setAttribute("aria-posinset", position + 1);
    this.element.setAttribute("aria-setsize", count);
    this.grade.show(i);
    this.label.hidden = !HAS_LABELS;
    this.label.textContent = this.label.title = labelText(i);
    this.differ.hidden = !pictures.differ[i];
    this.failed.hidden = !pictures.failed[i];
    const needed = shownRows(i);
    while (this.parts.length < needed) {
      this.parts.push(new NetworkPart());
      this.networks.append(this.parts.at(-1).element);
    }
    this.parts.forEach((part, n) => {
      part.element.hidden = n >= needed;
      part.element.classList.toggle("alone", needed === 1);
      if (n < needed) part.show(firstRow[i] + n, ratioOf(i), needed === 1 ? { ...size, width: size.whole } : size, pictures.failed[i] === ALL_FAILED);
    });
    this.isDrawn = false;
  }

  /** Draws thumbnails and heat; false while the browser has not yet read that part of the file. */
  draw() {
    const line = lineOf(this.picture);
    if (!line) return false;
    const shown = line.rows.slice(0, shownRows(this.picture));
    shown.forEach((row, n) => this.parts[n].draw(line.thumbnail, row));
    this.isDrawn = true;
    return true;
  }
}
