// The report as a page: its summary, the bar to sort and filter with, and the address.

const ADDRESS_DELAY_MS = 250; // of rest before the address is changed: browsers limit how often

let choice = { ...DEFAULTS };
let order = [];
let open = null; // the picture in the dialog
let shownHash = null;
let addressTimer;

const form = one("#filters");
const bar = one("#bar");
const fields = [...bar.querySelectorAll("[name]")];

const cards = new Cards(one("#cards"), bar, (place) => openAt(place));
const details = new Details(one("#details"), {
  step: (by) => openAt(order.indexOf(open) + by),
  closed: () => {
    if (open === null) return;
    const place = order.indexOf(open);
    open = null;
    updateAddress();
    if (place >= 0) cards.focus(place);
  },
});

function openAt(place) {
  if (place < 0 || place >= order.length) return;
  open = order[place];
  details.show(open, place, order.length);
  updateAddress();
}

/** Shows a choice; what differs in how it is drawn alone needs no new order. */
function apply(next) {
  choice = next;
  document.documentElement.dataset.show = choice.show;
  order = chosen(choice);
  one("#shown").textContent = thousands(order.length);
  one("#total").textContent = `of ${plural(COUNT, "picture")}`;
  one("#nothing").hidden = order.length > 0;
  const { text, class: name, network, from, to, difference: least, differ, failed, verdict, label, outcome } = choice;
  const used = [text, name, network, from > 0 || to < 100, least, differ, failed, verdict, label, outcome].filter(Boolean).length;
  one("#unfold").textContent = used ? `Filters (${used})` : "Filters";
  one("[type=reset]", bar).hidden = !used;
  showSpread();
  cards.show(order);
}

/** How many of the shown pictures have networks that look at the same places, at different ones, and so on. */
function showSpread() {
  const counts = index.grades.map(() => 0);
  for (const i of order) if (likeness(i)) counts[pictures.grade[i]]++;
  const grades = index.grades.map((grade, n) => ({ ...grade, count: counts[n] })).filter(({ count }) => count).reverse();
  const all = grades.reduce((sum, { count }) => sum + count, 0);
  const strip = one("#spread");
  strip.hidden = !all;
  const parts = grades.map(({ words, group, count }) => {
    const part = h("span", { class: "likeness", "data-kind": group, title: words }, h("b", {}, thousands(count)), ` ${words}`);
    part.style.flexGrow = count / all;
    return part;
  });
  strip.replaceChildren(...parts);
  const words = grades.map(({ words, count }) => `${words} in ${thousands(count)}`);
  strip.setAttribute("aria-label", `The networks look at ${words.join(", ")} of these pictures`);
}

const valueOf = (field) => {
  if (field.type === "checkbox") return field.checked;
  if (field.type !== "range" && field.type !== "number") return field.value;
  const number = field.value === "" ? NaN : Number(field.value);
  return number >= 0 && number <= 100 ? number : DEFAULTS[field.name];
};

function fillFields() {
  for (const field of fields) {
    const value = choice[field.name];
    if (field.type === "checkbox") field.checked = value;
    else if (field.type === "radio") field.checked = field.value === value;
    else field.value = value;
  }
  showDifference();
}

const showDifference = () => (one("output", form).textContent = wholePercentage(one("[name=difference]").value / 100));

function updateAddress() {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => {
    shownHash = hashOf(choice, open === null ? null : pictures.path[open]);
    history.replaceState(null, "", shownHash || location.pathname + location.search);
  }, ADDRESS_DELAY_MS);
}

function readAddress() {
  if (location.hash === shownHash) return;
  const read = readHash(location.hash);
  const has = (name) => [...one(`select[name=${name}]`).options].some(({ value }) => value === read.choice[name]);
  for (const name of ["sort", "network", "verdict", "outcome"]) if (!has(name)) read.choice[name] = DEFAULTS[name];
  if (!["overlay", "heat", "photo"].includes(read.choice.show)) read.choice.show = "overlay";
  apply(read.choice);
  fillFields();
  const place = read.picture === null ? -1 : order.findIndex((i) => pictures.path[i] === read.picture);
  if (place >= 0) {
    cards.scrollTo(place);
    openAt(place);
  } else if (details.isOpen) details.dialog.close();
}

function changed({ target }) {
  if (target.type === "radio") {
    choice.show = target.value;
    document.documentElement.dataset.show = choice.show;
  } else {
    apply({ ...choice, [target.name]: valueOf(target) });
    showDifference();
  }
  updateAddress();
}

bar.addEventListener("input", (event) => event.target.name && changed(event));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  apply({ ...DEFAULTS, sort: choice.sort, show: choice.show });
  fillFields();
  updateAddress();
});
addEventListener("hashchange", readAddress);
one("#unfold").addEventListener("click", ({ currentTarget }) => {
  const isOpen = bar.classList.toggle("unfolded");
  currentTarget.setAttribute("aria-expanded", isOpen);
});

/** Suggests all classes that a column of rows has, with how many pictures have each; made when first
 * needed. */
function suggest(field, column) {
  const list = h("datalist", { id: `all-${field}` });
  const input = one(`[name=${field}]`);
  input.setAttribute("list", list.id);
  input.after(list);
  const fill = () => {
    const counts = new Map();
    for (let i = 0; i < COUNT; i++) {
      const names = new Set();
      for (let row = firstRow[i]; row < firstRow[i + 1]; row++) {
        if (column[row] >= 0) names.add(index.classes[column[row]]);
      }
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const names = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
    list.append(...names.map(([value, count]) => h("option", { value, label: `${value}, ${plural(count, "picture")}` })));
  };
  input.addEventListener("focus", fill, { once: true });
}

suggest("class", rows.class);
suggest("label", rows.label);

function summarise() {
  document.title = `${plural(COUNT, "picture")} – Grad-CAM, side by side`;
  const failed = pictures.failed.filter(Boolean).length;
  const settings = new Set(index.settings.map((one) => settingsText({ ...one, layer: "" })));
  const written = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
  const facts = [
    plural(COUNT, "picture"),
    plural(new Set(index.networks.map(({ key }) => key)).size, "network"),
    [...settings].join("; "),
    failed ? `${plural(failed, "picture")} with errors` : "no errors",
    `written ${written.format(new Date(index.written))} UTC`,
  ];
  one("#facts").append(...facts.filter(Boolean).map((fact) => h("span", {}, fact)));
  const standIns = [...new Set(index.networks.filter(({ standsInFor }) => standsInFor).map(({ title, standsInFor }) => `${title} for ${standsInFor}`))];
  one("#stand-ins").hidden = !standIns.length;
  one("#stand-ins").textContent = `Stand-ins, because the requested networks were not available: ${standIns.join(", ")}.`;
  const counts = new Uint32Array(index.networks.length);
  for (const network of rows.network) if (network >= 0) counts[network]++;
  one("#provenance tbody").append(
    ...index.networks.map(({ title, standsInFor, source, sha256 }, n) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, title),
        h("td", {}, standsInFor ?? "–"),
        h("td", {}, thousands(counts[n])),
        h("td", {}, source ?? "–"),
        h("td", {}, h("code", {}, sha256 ?? "–")),
      ),
    ),
  );
  one("#versions").textContent = index.versions.length ? `Made with ${index.versions.join("; ")}.` : "";
  const keys = new Set(index.networks.map(({ key }) => key));
  one("[name=network]").append(...[...keys].map((key) => h("option", { value: key }, key)));
  const grades = index.grades.slice(1, -1).map(({ least, words }) => `${words} from ${wholePercentage(least / 100)} on`);
  one("#grades").textContent = [index.grades[0].words, ...grades].join(", ");
  const root = document.documentElement.style;
  root.setProperty("--opacity", index.opacity);
  root.setProperty("--dimming", index.dimming);
  const available = {
    difference: pictures.agreement.some((value) => value !== null),
    classes: pictures.rows.some((networks) => networks > 1),
  };
  for (const [name, isAvailable] of Object.entries(available)) {
    if (!isAvailable) one(`option[value=${name}]`).remove();
  }
  one(".difference").hidden = !available.difference;
  one("[name=verdict]").parentElement.hidden = !rows.verdict.some(Boolean);
  const far = index.grades.filter(({ group }) => group === "different").map(({ words }) => words);
  one("#elsewhere").textContent = far.join(" or ");
  one("#labels-note").hidden = !HAS_LABELS;
  for (const name of ["label", "outcome"]) one(`[name=${name}]`).parentElement.hidden = !HAS_LABELS;
  one("[name=differ]").parentElement.hidden = !available.classes;
}

/** What the batch has left out, and why. */
function showSkipped() {
  const total = index.skipped.reduce((sum, { count }) => sum + count, 0);
  one("#skipped").hidden = !total;
  one("#skipped summary").textContent = `Left out: ${thousands(total)} ${total === 1 ? "file or folder" : "files and folders"}`;
  const row = ({ reason, count, names }) => {
    const more = count > names.length ? `${thousands(count - names.length)} more, in skipped.parquet` : [];
    const list = h("ul", {}, ...names.concat(more).map((name) => h("li", {}, name)));
    return h("tr", {}, h("th", { scope: "row" }, reason), h("td", {}, thousands(count)), h("td", {}, list));
  };
  one("#skipped tbody").append(...index.skipped.map(row));
}

/** How many of the labelled pictures each network is right about. */
function showAccuracy() {
  one("#accuracy").hidden = !HAS_LABELS;
  if (!HAS_LABELS) return;
  const counts = new Map(index.networks.map(({ key }) => [key, [0, 0]]));
  rows.outcome.forEach((outcome, row) => {
    if (outcome >= 0) counts.get(networkOf(row).key)[outcome === WRONG ? 0 : 1] += 1;
  });
  let labelled = 0;
  for (let i = 0; i < COUNT; i++) if (labelOf(i) !== undefined) labelled++;
  const facts = [labelled < COUNT ? `${thousands(labelled)} of ${plural(COUNT, "picture")} have a label` : "all pictures have a label"];
  for (const [key, [wrong, correct]] of counts) {
    const all = wrong + correct;
    if (all) facts.push(`${key}: ${countedPercentage(correct, all)} correct (${thousands(correct)} of ${thousands(all)})`);
  }
  one("#accuracy").append(...facts.map((fact) => h("span", {}, fact)));
}

summarise();
showSkipped();
showAccuracy();
readAddress();
