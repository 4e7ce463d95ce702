// The report's data: columns, read at the start, and a line for each picture, read when the picture is
// shown.

const index = JSON.parse(query("#index").textContent);
const { pictures, rows, latin } = index;
const isLatin = !Object.keys(latin).length;
if (!isLatin) {
  index.classes = index.classes.map((name) => drawable(name, latin));
  pictures.path = pictures.path.map((path) => drawable(path, latin));
  for (const left of index.skipped) left.names = left.names.map((name) => drawable(name, latin));
  for (const network of index.networks) {
    for (const field of ["title", "standsInFor"]) network[field] &&= drawable(network[field], latin);
  }
}
const COUNT = pictures.path.length;

/** The first row of each picture, and the number of all rows at the end. */
const firstRow = new Uint32Array(COUNT + 1);
for (let i = 0; i < COUNT; i++) firstRow[i + 1] = firstRow[i] + pictures.rows[i];

/** Each picture's position in the order of paths. */
const positionByPath = new Uint32Array(COUNT);
index.byPath.forEach((picture, position) => (positionByPath[picture] = position));

/** How many rows of a picture to show: one if all failed for the same reason. */
const shownRows = (i) => (pictures.failed[i] === ALL_FAILED ? 1 : pictures.rows[i]);
const ALL_FAILED = 2;

/** 1 minus the overlap of a picture's maps, in [0, 1]; NaN if it has fewer than two maps. */
const difference = (i) => (pictures.agreement[i] === null ? NaN : 1 - pictures.agreement[i]);

/** The grade of a picture's overlap, {words, group}; undefined if it has fewer than two maps. */
const gradeOf = (i) => index.grades[pictures.grade[i]];

/** key: the name by which a network is shown and filtered. */
for (const network of index.networks) {
  const { title, standsInFor } = network;
  network.key = standsInFor ? `${title} for ${standsInFor}` : title;
}

const networkOf = (row) => index.networks[rows.network[row]];
const classOf = (row) => index.classes[rows.class[row]];
const whereOf = (row) => index.locations[rows.where[row]] ?? "";

/** Outcomes of a network's prediction for a labelled picture; -1 if it is unknown. */
const [LACKING, WRONG, CORRECT, ELSEWHERE] = [-2, 0, 1, 2];
const HAS_LABELS = rows.label.some((label) => label >= 0);

/** The label of a picture; undefined if it has none. */
const labelOf = (i) => index.classes[rows.label[firstRow[i]]];

const BLOCKS_KEPT = 24;
const blocks = new Map(); // those read last, by number

/** The line of a picture, or null while the browser has not yet read that part of the file. */
function lineOf(i) {
  const number = Math.floor(i / index.blockSize);
  let lines = blocks.get(number);
  if (!lines) {
    const element = document.getElementById(`block-${number}`);
    if (!element?.nextElementSibling) return null; // the last element may be incomplete
    lines = element.textContent.split("\n");
    blocks.set(number, lines);
    if (blocks.size > BLOCKS_KEPT) blocks.delete(blocks.keys().next().value);
  }
  const asRead = isLatin ? undefined : (_, value) => (typeof value === "string" ? drawable(value, latin) : value);
  return JSON.parse(lines[i % index.blockSize], asRead);
}
