// Filters and order: which pictures are shown, and how the address stores the filters.

const DEFAULTS = {
  sort: "path",
  text: "",
  class: "",
  network: "",
  from: 0,
  to: 100,
  difference: 0,
  differ: false,
  failed: false,
  verdict: "",
  label: "",
  outcome: "",
  show: "overlay",
};

/** The filters in an address's hash, and the path of the open picture or null. */
function readHash(hash) {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const filters = { ...DEFAULTS };
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const value = parameters.get(name);
    if (value === null) continue;
    if (typeof usual === "number") {
      const number = Number(value);
      if (value !== "" && number >= 0 && number <= 100) filters[name] = number;
    } else filters[name] = typeof usual === "boolean" ? value === "1" : value;
  }
  return { filters, picture: parameters.get("picture") };
}

function hashOf(filters, picture) {
  const parameters = new URLSearchParams();
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (filters[name] !== usual) parameters.set(name, filters[name] === true ? "1" : filters[name]);
  }
  if (picture !== null) parameters.set("picture", picture);
  const text = parameters.toString();
  return text && `#${text}`;
}

const lowerPaths = pictures.path.map((path) => path.toLowerCase());
const lowerClasses = index.classes.map((name) => name.toLowerCase());

/** For each class, whether its name equals the typed text or, if no name does, contains it; null if
 * nothing is typed. */
function classesNamed(typed) {
  const text = typed.trim().toLowerCase();
  if (!text) return null;
  const isOne = lowerClasses.includes(text);
  return lowerClasses.map((name) => (isOne ? name === text : name.includes(text)));
}

/** A function that tells whether a row is of this network; true for all rows if the name is "". */
const isOf = (name) => (row) => name === "" || networkOf(row)?.key === name;

/** For each outcome of the filters, whether a row has it. */
const OUTCOME_FITS = {
  correct: (row) => rows.outcome[row] >= CORRECT,
  wrong: (row) => rows.outcome[row] === WRONG,
  elsewhere: (row) => rows.outcome[row] === ELSEWHERE,
  none: (row) => rows.label[row] < 0,
};

/** The pictures that match the filters, sorted. Filters on networks must all match the same network. */
function filtered(filters) {
  const text = filters.text.trim().toLowerCase();
  const classes = classesNamed(filters.class);
  const labels = classesNamed(filters.label);
  const isOfNetwork = isOf(filters.network);
  const [from, to] = [filters.from / 100, filters.to / 100];
  const anyProbability = from <= 0 && to >= 1;
  const anyRow = !classes && !filters.network && !filters.verdict && !labels && !filters.outcome && anyProbability;
  const fits = (row) =>
    isOfNetwork(row) &&
    (!filters.verdict || rows.verdict[row] === filters.verdict) &&
    (!filters.outcome || OUTCOME_FITS[filters.outcome](row)) &&
    (!labels || (rows.label[row] >= 0 && labels[rows.label[row]])) &&
    (!classes || (rows.class[row] >= 0 && classes[rows.class[row]])) &&
    (anyProbability ||
      (rows.probability[row] !== null && rows.probability[row] >= from && rows.probability[row] <= to));
  const least = filters.difference / 100 - 1e-9;
  const found = [];
  for (const i of index.byPath) {
    if (text && !lowerPaths[i].includes(text)) continue;
    if (filters.failed && !pictures.failed[i]) continue;
    if (filters.differ && !pictures.differ[i]) continue;
    if (filters.difference > 0 && !(difference(i) >= least)) continue;
    if (!anyRow) {
      let row = firstRow[i];
      while (row < firstRow[i + 1] && !fits(row)) row++;
      if (row === firstRow[i + 1]) continue;
    }
    found.push(i);
  }
  return sorted(found, filters.sort, isOfNetwork);
}

/** Sorts by a key, the lowest first and pictures without one last; by default keeps the order of paths. */
function sorted(found, sort, isOfNetwork) {
  const ofRows = (best, sign) => (i) => {
    let most = NaN;
    for (let row = firstRow[i]; row < firstRow[i + 1]; row++) {
      const value = rows.probability[row];
      if (value === null || !isOfNetwork(row)) continue;
      most = Number.isNaN(most) ? value : best(most, value);
    }
    return sign * most;
  };
  const keys = {
    difference: (i) => -difference(i),
    highest: ofRows(Math.max, -1),
    lowest: ofRows(Math.min, 1),
    classes: (i) => -pictures.differ[i],
    errors: (i) => (pictures.failed[i] ? 0 : 1),
  };
  const key = keys[sort];
  if (!key) return found;
  const values = new Float64Array(COUNT);
  for (const i of found) {
    const value = key(i);
    values[i] = Number.isNaN(value) ? Infinity : value;
  }
  return found.sort((a, b) => (values[a] === values[b] ? positionByPath[a] - positionByPath[b] : values[a] - values[b]));
}
