// The report as a page: its summary, the bar to sort and filter with, and the address.

const SAY_AFTER = 250; // milliseconds of rest before the address is changed: browsers limit how often

let choice = { ...NOTHING_CHOSEN };
let order = [];
let open = null; // the picture in the dialog
let shownHash = null;
let saying;

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
    say();
    if (place >= 0) cards.focus(place);
  },
});

function openAt(place) {
  if (place < 0 || place >= order.length) return;
  open = order[place];
  details.show(open, place, order.length);
  say();
}

/** Shows a choice; what differs in how it is drawn alone needs no new order. */
function apply(next) {
  choice = next;
  document.documentElement.dataset.show = choice.show;
  order = chosen(choice);
  one("#shown").textContent = thousands(order.length);
  one("#total").textContent = `of ${plural(COUNT, "picture")}`;
  one("#nothing").hidden = order.length > 0;
  const { text, class: name, network, from, to, difference: least, differ, failed } = choice;
  const used = [text, name, network, from > 0 || to < 100, least, differ, failed].filter(Boolean).length;
  one("#unfold").textContent = used ? `Filters (${used})` : "Filters";
  one("[type=reset]", bar).hidden = !used;
  showSpread();
  cards.show(order);
}

/** How many of those shown look at the same, partly the same or different things. */
function showSpread() {
  const counts = { same: 0, partly: 0, different: 0 };
  for (const i of order) {
    const kind = likeness(i);
    if (kind) counts[kind]++;
  }
  const strip = one("#spread");
  const all = counts.same + counts.partly + counts.different;
  strip.hidden = !all;
  const parts = Object.entries(counts).map(([kind, count]) => {
    const part = h("span", { class: "likeness", "data-kind": kind }, h("b", {}, thousands(count)), ` ${THINGS[kind]}`);
    part.style.flexGrow = all ? count / all : 0;
    part.title = THINGS[kind];
    part.hidden = !count;
    return part;
  });
  strip.replaceChildren(...parts);
  const said = Object.entries(counts).map(([kind, count]) => `${THINGS[kind]} in ${thousands(count)}`);
  strip.setAttribute("aria-label", `The networks look at ${said.join(", ")} of these pictures`);
}

const valueOf = (field) => {
  if (field.type === "checkbox") return field.checked;
  if (field.type !== "range" && field.type !== "number") return field.value;
  const number = field.value === "" ? NaN : Number(field.value);
  return number >= 0 && number <= 100 ? number : NOTHING_CHOSEN[field.name];
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

function say() {
  clearTimeout(saying);
  saying = setTimeout(() => {
    shownHash = hashOf(choice, open === null ? null : pictures.path[open]);
    history.replaceState(null, "", shownHash || location.pathname + location.search);
  }, SAY_AFTER);
}

function read() {
  if (location.hash === shownHash) return;
  const said = readHash(location.hash);
  const has = (name) => [...one(`select[name=${name}]`).options].some(({ value }) => value === said.choice[name]);
  for (const name of ["sort", "network"]) if (!has(name)) said.choice[name] = NOTHING_CHOSEN[name];
  if (!["overlay", "heat", "photo"].includes(said.choice.show)) said.choice.show = "overlay";
  apply(said.choice);
  fillFields();
  const place = said.picture === null ? -1 : order.findIndex((i) => pictures.path[i] === said.picture);
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
  say();
}

bar.addEventListener("input", (event) => event.target.name && changed(event));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  apply({ ...NOTHING_CHOSEN, sort: choice.sort, show: choice.show });
  fillFields();
  say();
});
addEventListener("hashchange", read);
one("#unfold").addEventListener("click", ({ currentTarget }) => {
  const isOpen = bar.classList.toggle("unfolded");
  currentTarget.setAttribute("aria-expanded", isOpen);
});

/** All classes that were explained, with how many pictures have each; made when first needed. */
one("[name=class]").addEventListener(
  "focus",
  () => {
    const counts = new Map();
    for (let i = 0; i < COUNT; i++) {
      const names = new Set();
      for (let row = firstRow[i]; row < firstRow[i + 1]; row++) {
        if (rows.class[row] >= 0) names.add(classOf(row));
      }
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const names = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
    one("#classes").append(...names.map(([value, count]) => h("option", { value, label: `${value}, ${plural(count, "picture")}` })));
  },
  { once: true },
);

function summarise() {
  document.title = `${plural(COUNT, "picture")} – Grad-CAM, side by side`;
  const failed = pictures.failed.filter(Boolean).length;
  const hows = new Set(index.hows.map((how) => howSaid({ ...how, layer: "" })));
  const written = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
  const facts = [
    plural(COUNT, "picture"),
    plural(new Set(index.networks.map(({ key }) => key)).size, "network"),
    [...hows].join("; "),
    failed ? `${plural(failed, "picture")} with errors` : "no errors",
    `written ${written.format(new Date(index.written))} UTC`,
  ];
  one("#facts").append(...facts.filter(Boolean).map((fact) => h("span", {}, fact)));
  const standIns = [...new Set(index.networks.filter(({ standsInFor }) => standsInFor).map(({ title, standsInFor }) => `${title} for ${standsInFor}`))];
  one("#stand-ins").hidden = !standIns.length;
  one("#stand-ins").textContent = `Stand-ins, because the networks that were asked for could not be had: ${standIns.join(", ")}.`;
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
  one("#same").textContent = wholePercentage(index.same);
  one("#partly").textContent = wholePercentage(index.partly);
  const root = document.documentElement.style;
  root.setProperty("--opacity", index.opacity);
  root.setProperty("--dimming", index.dimming);
  const asked = {
    difference: pictures.agreement.some((value) => value !== null),
    classes: pictures.rows.some((networks) => networks > 1),
  };
  for (const [name, isAsked] of Object.entries(asked)) {
    if (!isAsked) one(`option[value=${name}]`).remove();
  }
  one(".difference").hidden = !asked.difference;
  one("[name=differ]").parentElement.hidden = !asked.classes;
}

summarise();
read();
