// The page of the report: the bar for sorting and filtering, and the address.

const ADDRESS_DELAY_MS = 250; // browsers limit how often a page may change its address

let filters = { ...DEFAULTS };
let order = [];
let open = null; // the picture in the dialog
let shownHash = null;
let addressTimer;

const form = query("#filters");
const bar = query("#bar");
const fields = [...bar.querySelectorAll("[name]")];

const cards = new Cards(query("#cards"), bar, (position) => openAt(position));
const details = new Details(query("#details"), {
  step: (by) => openAt(order.indexOf(open) + by),
  closed: () => {
    if (open === null) return;
    const position = order.indexOf(open);
    open = null;
    updateAddress();
    if (position >= 0) cards.focus(position);
  },
});

function openAt(position) {
  if (position < 0 || position >= order.length) return;
  open = order[position];
  details.show(open, position, order.length);
  updateAddress();
}

/** Shows the pictures that match the filters. */
function apply(next) {
  filters = next;
  document.documentElement.dataset.show = filters.show;
  order = filtered(filters);
  query("#shown").textContent = thousands(order.length);
  query("#total").textContent = `of ${counted(COUNT, "picture")}`;
  query("#nothing").hidden = order.length > 0;
  const { text, class: name, network, from, to, difference: least, differ, failed, verdict, label, outcome } = filters;
  const used = [text, name, network, from > 0 || to < 100, least, differ, failed, verdict, label, outcome].filter(Boolean).length;
  query("#unfold").textContent = used ? `Filters (${used})` : "Filters";
  query("[type=reset]", bar).hidden = !used;
  showSpread();
  cards.show(order);
}

/** Shows how many of the listed pictures have each grade of overlap. */
function showSpread() {
  const counts = index.grades.map(() => 0);
  for (const i of order) if (gradeOf(i)) counts[pictures.grade[i]]++;
  const grades = index.grades.map((grade, n) => ({ ...grade, count: counts[n] })).filter(({ count }) => count).reverse();
  const all = grades.reduce((sum, { count }) => sum + count, 0);
  const strip = query("#spread");
  strip.hidden = !all;
  const parts = grades.map(({ words, group, count }) => {
    const part = h("span", { class: "overlap-grade", "data-kind": group, title: words }, h("b", {}, thousands(count)), ` ${words}`);
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
    const value = filters[field.name];
    if (field.type === "checkbox") field.checked = value;
    else if (field.type === "radio") field.checked = field.value === value;
    else field.value = value;
  }
  showDifference();
}

const showDifference = () => (query("output", form).textContent = wholePercentage(query("[name=difference]").value / 100));

function updateAddress() {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => {
    shownHash = hashOf(filters, open === null ? null : pictures.path[open]);
    history.replaceState(null, "", shownHash || location.pathname + location.search);
  }, ADDRESS_DELAY_MS);
}

function readAddress() {
  if (location.hash === shownHash) return;
  const read = readHash(location.hash);
  const has = (name) => [...query(`select[name=${name}]`).options].some(({ value }) => value === read.filters[name]);
  for (const name of ["sort", "network", "verdict", "outcome"]) if (!has(name)) read.filters[name] = DEFAULTS[name];
  if (!["overlay", "heat", "photo"].includes(read.filters.show)) read.filters.show = "overlay";
  apply(read.filters);
  fillFields();
  const position = read.picture === null ? -1 : order.findIndex((i) => pictures.path[i] === read.picture);
  if (position >= 0) {
    cards.scrollTo(position);
    openAt(position);
  } else if (details.isOpen) details.dialog.close();
}

function changed({ target }) {
  if (target.type === "radio") {
    filters.show = target.value;
    document.documentElement.dataset.show = filters.show;
  } else {
    apply({ ...filters, [target.name]: valueOf(target) });
    showDifference();
  }
  updateAddress();
}

bar.addEventListener("input", (event) => event.target.name && changed(event));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  apply({ ...DEFAULTS, sort: filters.sort, show: filters.show });
  fillFields();
  updateAddress();
});
addEventListener("hashchange", readAddress);
query("#unfold").addEventListener("click", ({ currentTarget }) => {
  const isOpen = bar.classList.toggle("unfolded");
  currentTarget.setAttribute("aria-expanded", isOpen);
});

/** Suggests the classes in a column of rows, with the number of pictures of each. The list is made
 * when the field first gets the focus. */
function suggest(field, column) {
  const list = h("datalist", { id: `all-${field}` });
  const input = query(`[name=${field}]`);
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
    list.append(...names.map(([value, count]) => h("option", { value, label: `${value}, ${counted(count, "picture")}` })));
  };
  input.addEventListener("focus", fill, { once: true });
}

suggest("class", rows.class);
suggest("label", rows.label);

const root = document.documentElement.style;
root.setProperty("--opacity", index.opacity);
root.setProperty("--dimming", index.dimming);
showFacts();
showProvenance();
explainGrades();
offerFilters();
showSkipped();
showAccuracy();
readAddress();
