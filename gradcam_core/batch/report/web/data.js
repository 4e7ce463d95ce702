// The report's data: columns that are there at once, and a line for each picture that is read where
// the picture is seen.

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

/** Where the rows of each picture begin; one more for the end. */
const firstRow = new Uint32Array(COUNT + 1);
for (let i = 0; i < COUNT; i++) firstRow[i + 1] = firstRow[i] + pictures.rows[i];

/** The position of each picture in the order of paths. */
const positionByPath = new Uint32Array(COUNT);
index.byPath.forEach((picture, position) => (positionByPath[picture] = position));

/** How many rows there are to show: where all failed for the same reason, one says so. */
const shownRows = (i) => (pictures.failed[i] === ALL_FAILED ? 1 : pictures.rows[i]);
const ALL_FAILED = 2;

/** In [0, 1]; NaN where there are no two maps to compare. */
const difference = (i) => (pictures.agreement[i] === null ? NaN : 1 - pictures.agreement[i]);

/** Of which places the networks look at, on average: {words, group}; undefined where there are no two
 * maps to compare. */
const gradeOf = (i) => index.grades[pictures.grade[i]];

/** What a network is called, and chosen by. */
for (const network of index.networks) {
  const { title, standsInFor } = network;
  network.key = standsInFor ? `${title} for ${standsInFor}` : title;
}

const networkOf = (row) => index.networks[rows.network[row]];
const classOf = (row) => index.classes[rows.class[row]];
const whereOf = (row) => index.locations[rows.where[row]] ?? "";

/** Of a labelled picture, what a network's prediction is; -1 where that is not known. */
const [LACKING, WRONG, CORRECT, ELSEWHERE] = [-2, 0, 1, 2];
const HAS_LABELS = rows.label.some((label) => label >= 0);

/** What a picture truly is; undefined if it has no label. */
const labelOf = (i) => index.classes[rows.label[firstRow[i]]];

const BLOCKS_KEPT = 24;
const blocks = new Map(); // the last ones read, by their numbers

/** What a picture's line says, or null as long as the file has not arrived so far. */
function lineOf(i) {
  const number = Math.floor(i / index.blockSize);
  let lines = blocks.get(number);
  if (!lines) {
    const element = document.getElementById(`block-${number}`);
    if (!element?.nextElementSibling) return null; // the last one may be there in part
    lines = element.textContent.split("\n");
    blocks.set(number, lines);
    if (blocks.size > BLOCKS_KEPT) blocks.delete(blocks.keys().next().value);
  }
  const asRead = isLatin ? undefined : (_, value) => (typeof value === "string" ? drawable(value, latin) : value);
  return JSON.parse(lines[i % index.blockSize], asRead);
}
