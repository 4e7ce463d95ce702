// Links to a view: converts the state into parameters of the page's address, and back.

import { isCover } from "./results/covers.js";

const LISTS = ["models", "window"];
const NUMBERS = ["target", "contrast", "detail", "layer"];
const SWITCHES = ["signed"];
const WORDS = ["view", "kind", "method"];
const NAMES = { target: "class", kind: "map" };
const COVERS_BETWEEN = ";";
const AUTO = "auto"; // as contrast: the most probable other classes
const LONGEST_TOLD = 60; // characters of a lacking value that a message quotes
const OWN = "own"; // the kind of map in which this contrast has an effect
const OLD_NAMES = ["rather_than", "rivals"]; // of the contrast, in links of version 1.0
const nameOf = (key) => NAMES[key] ?? key;

/** The part of the state that an address specifies, as far as this page knows the values. props: from
 * demo/ui/page_data.py. */
export function readLink(address, props) {
  const given = parameters(address);
  if (given.auto_contrast) given.kind = OWN;
  if (given.models?.some((name) => hasName(props.models, name))) given.models = given.models.filter((name) => hasName(props.models, name));
  return Object.fromEntries(Object.entries(given).filter(([key, value]) => isKnown(key, value, props)));
}

/** The values in an address that `readLink` did not take, as text for people: for example a network of another server.
 * taken: the result of `readLink`. */
export function lackingOf(address, taken) {
  const given = withNewNames(new URL(address).searchParams);
  const isTaken = (key) => key in taken || (key === "contrast" && taken.auto_contrast);
  const keys = [...LISTS, ...NUMBERS, ...SWITCHES, ...WORDS].map((key) => [nameOf(key), key]);
  return [...keys, ["cover", "covers"], ["example", "photo"], ["picture", "photo"]].flatMap(([name, key]) => {
    const asked = (given.get(name) ?? "").split(key === "models" ? "," : null).filter(Boolean);
    const lacking = asked.filter((one) => (key === "models" ? !taken.models?.includes(one) : !isTaken(key)));
    return lacking.map((one) => `${name} “${one.slice(0, LONGEST_TOLD)}”`);
  });
}

const hasName = (list, name) => list.some((one) => one.name === name);

function isKnown(key, value, { models, methods, details, kinds, views, exampleNames, classes, coverLimits }) {
  const isClass = Number.isInteger(value) && value >= 0 && value < classes.length;
  const known = {
    photo: () => (value.address ? /^https?:\/\//i.test(value.address) : exampleNames.includes(value.example)),
    models: () => value.length > 0 && value.every((name) => hasName(models, name)),
    target: () => isClass,
    contrast: () => isClass,
    detail: () => details.includes(value),
    layer: () => value >= 0 && value <= 1,
    window: () => value.length === 2 && value.every(Number.isFinite) && value[0] < value[1],
    view: () => views.includes(value),
    kind: () => Object.hasOwn(kinds, value),
    method: () => hasName(methods, value),
    auto_contrast: () => true,
    signed: () => true,
    covers: () => value.length <= coverLimits.covers && value.every((text) => isCover(text, coverLimits)),
  };
  return known[key]();
}

function parameters(address) {
  const given = withNewNames(new URL(address).searchParams);
  const found = {};
  for (const key of LISTS) {
    if (given.has(nameOf(key))) found[key] = given.get(nameOf(key)).split(",").filter(Boolean);
  }
  if (found.window) found.window = found.window.map(Number);
  for (const key of NUMBERS) {
    const number = Number(given.get(nameOf(key)));
    if (given.get(nameOf(key)) && Number.isFinite(number)) found[key] = number;
  }
  for (const key of SWITCHES) if (["1", "0"].includes(given.get(key))) found[key] = given.get(key) === "1";
  for (const key of WORDS) if (given.get(nameOf(key))) found[key] = given.get(nameOf(key));
  if (given.get("contrast") === AUTO) found.auto_contrast = true;
  if (given.get("cover")) found.covers = given.get("cover").split(COVERS_BETWEEN).filter(Boolean);
  if (given.get("example")) found.photo = { example: given.get("example") };
  else if (given.get("picture")) found.photo = { address: given.get("picture") };
  return found;
}

function withNewNames(given) {
  if (given.has("contrast")) return given; // the new name counts
  if (given.get("rivals") === "1") given.set("contrast", AUTO);
  if (given.has("rather_than")) given.set("contrast", given.get("rather_than"));
  return given;
}

/** The address of a state, without default values and without an uploaded photo. */
export function linkTo(address, state, defaults) {
  const made = new URL(address);
  const given = made.searchParams;
  const put = (key, value, usual) => {
    const isUsual = value === null || String(value) === String(usual);
    if (isUsual) given.delete(nameOf(key));
    else given.set(nameOf(key), String(value));
  };
  for (const key of [...LISTS, ...NUMBERS, ...WORDS]) put(key, state[key], defaults[key]);
  put("signed", state.signed === null ? null : Number(state.signed), Number(state.contrast !== null));
  if (state.contrast === null && state.auto_contrast && state.kind === OWN) given.set("contrast", AUTO);
  for (const old of OLD_NAMES) given.delete(old);
  put("cover", state.photo && !state.photo.upload ? state.covers.join(COVERS_BETWEEN) : "", "");
  put("example", state.photo?.example ?? null, null);
  put("picture", state.photo?.address ?? null, null);
  return made.href.replaceAll("%2C", ",").replaceAll("%3A", ":").replaceAll("%7E", "~").replaceAll("%3B", ";");
}
