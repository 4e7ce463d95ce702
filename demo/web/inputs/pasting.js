// Takes what a visitor drops anywhere on the page, pastes, or chooses as a file: a picture becomes the photo; for
// anything else, a message says what it is and what to do.

import { bytesOf } from "../core/heat.js";
import { cameraProblem } from "../live/camera.js";

const INPUT = "#photo input[type=file]";
const UPLOAD_BUTTON = "#photo .source-selection button:first-of-type"; // back from the camera
const CAMERA_SHOWN = "#photo .source-selection button:nth-of-type(2).selected";
const CLIPBOARD_BUTTON = "#photo .source-selection button:nth-of-type(3)";

const NO_PICTURES = "That folder contains no pictures. The command gradcam batch also looks into subfolders.";
const NOTHING = "That contains no picture. Drop a file, or the address of a picture.";
const NO_ADDRESSES = "This server does not fetch pictures from addresses. Save the picture and drop the file.";
const NOT_TO_BE_HAD = "The picture cannot be loaded from there. Save it and drop the file.";
const NOTHING_COPIED = "There is no picture in the clipboard. Copy one first.";
const NOT_READ = "The browser does not let the page read the clipboard. Ctrl+V also pastes a picture.";

// Of networks, also those that are refused with a sentence.
const WEIGHTS = /\.(safetensors|pth|pth\.tar|pt2?|ptl|th|ckpt|bin|pkl|onnx|h5|hdf5|keras|tflite|msgpack|pdparams)$/i;
const LABELS = /\.(txt|json|csv|tsv|names|ya?ml)$/i;
// Of several such files in a folder, as training programs leave them.
const BESIDE_WEIGHTS = /optimi[sz]er|scheduler|rng_state|training_args/i;
const WITH_LABELS = [/label|names|classes/i, /^config\.json$/i]; // the likeliest first

const isAddress = (text) => /^https?:\/\/\S+$/i.test(text);
const isData = (text) => /^data:image\/[\w.+-]+;base64,/i.test(text);
const isText = (element) => element?.closest?.("input, textarea, [contenteditable]");

/** suffixes: of the names of pictures. limitMb: of a file. hasAddresses: whether the server fetches pictures. choose(address): of a picture on the
 * web. chooseAll(files): one or several. takeNetwork(weights, labels): files of a network. tell(text): the person. */
export function acceptPicturesAnywhere({ suffixes, limitMb, hasAddresses, choose, chooseAll, takeNetwork, tell }) {
  // Browsers know no type for many kinds, nor for names in capitals on some systems; the server looks
  // into the file.
  const isLikelyPicture = ({ type, name }) =>
    type.startsWith("image/") || suffixes.some((suffix) => name.toLowerCase().endsWith(suffix));

  const take = async (transfer) => {
    tell("");
    const { files, folders, text } = contentOf(transfer);
    const inside = (await Promise.all(folders.map(filesIn))).flat();
    inside.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    const given = [...files, ...inside];
    const weights = weightsAmong(given);
    if (weights && !given.some(isLikelyPicture)) return takeNetwork(weights, labelsAmong(given));
    if (folders.length || files.length > 1) takeAll(files, inside);
    else if (files.length) upload(files[0]);
    else if (isData(text)) upload(fileOf(text));
    else if (!isAddress(text)) tell(NOTHING);
    else if (new URL(text).origin === location.origin) await uploadFrom(text);
    else if (hasAddresses) {
      uncover();
      choose(text);
    }
    else tell(NO_ADDRESSES);
  };

  // The camera, or a list of keys, would hide the photo; a form that is being filled in stays.
  const uncover = () => {
    document.querySelectorAll("dialog[open]:not(:has(form))").forEach((one) => one.close());
    if (document.querySelector(CAMERA_SHOWN)) document.querySelector(UPLOAD_BUTTON).click();
  };

  // inside: the files of dropped folders, of which only the likely pictures are wanted.
  const takeAll = (files, inside) => {
    const given = [...files, ...inside];
    const pictures = given.some(isLikelyPicture) ? given.filter(isLikelyPicture) : files;
    const usable = pictures.filter(({ size }) => 0 < size && size <= limitMb * 2 ** 20);
    if (!pictures.length) return tell(NO_PICTURES);
    if (!usable.length) return tell(`None of these files has a size between 1 byte and ${limitMb} MB.`);
    if (usable.length < given.length) tell(`${usable.length} of the ${given.length} files are pictures of up to ${limitMb} MB.`);
    if (usable.length === 1) return upload(usable[0]);
    uncover();
    chooseAll(usable);
  };

  const upload = (file) => {
    if (!file.size) return tell(`The file ${file.name} is empty.`);
    if (file.size > limitMb * 2 ** 20) {
      const size = Math.ceil(file.size / 2 ** 20);
      return tell(`The file ${file.name} has ${size} MB. Files of up to ${limitMb} MB can be uploaded.`);
    }
    uncover();
    chooseAll([file]);
  };

  const uploadFrom = async (address) => {
    try {
      const response = await fetch(address);
      if (!response.ok) throw new Error(response.status);
      const blob = await response.blob();
      upload(new File([blob], new URL(address).pathname.split("/").pop() || "picture", { type: blob.type }));
    } catch (error) {
      console.warn(error);
      tell(NOT_TO_BE_HAD);
    }
  };

  listenToDrops(take);
  document.addEventListener("paste", (event) => {
    const { files, text } = contentOf(event.clipboardData);
    // Ignores text pasted into a field, and pastes with neither files nor text.
    if (!files.length && (isText(event.target) || !text)) return;
    event.preventDefault();
    take(event.clipboardData);
  });
  listenToFileChooser((files) => (files.length > 1 ? takeAll(files, []) : upload(files[0])), suffixes);
  listenToClipboardButton(upload, tell);
  listenToCamera(tell);
}

/** Takes all drops, including those on Gradio's box, which refuses files without a type. */
function listenToDrops(take) {
  const mark = (isOver) => document.body.classList.toggle("dropping", isOver);
  const events = {
    dragenter: () => mark(true),
    dragover: () => mark(true),
    dragleave: (event) => event.relatedTarget || mark(false),
    drop: (event) => {
      mark(false);
      take(event.dataTransfer);
    },
  };
  for (const [name, act] of Object.entries(events)) {
    const listen = (event) => {
      if (isText(event.target) && !hasFiles(event.dataTransfer)) return; // text dropped into a field
      event.preventDefault();
      event.stopPropagation();
      act(event);
    };
    window.addEventListener(name, listen, { capture: true });
  }
}

/** Makes the browser's file dialog offer files without a type, too, and keeps Gradio from refusing them. */
function listenToFileChooser(take, suffixes) {
  const accepted = ["image/*", ...suffixes].join(",");
  const widen = (event) => {
    const input = event.target.closest?.("#photo") && document.querySelector(INPUT);
    if (input) Object.assign(input, { accept: accepted, multiple: true });
  };
  window.addEventListener("click", widen, { capture: true });
  const change = (event) => {
    const files = [...(event.target.files ?? [])];
    if (!files.length || !event.target.matches(INPUT)) return;
    event.stopImmediatePropagation();
    event.target.value = ""; // the same file may be chosen again
    take(files);
  };
  window.addEventListener("change", change, { capture: true });
}

/** Replaces Gradio's handler, which stays silent if no picture was copied, or the browser denies reading. */
function listenToClipboardButton(upload, tell) {
  const read = async (event) => {
    if (!event.target.closest?.(CLIPBOARD_BUTTON)) return;
    event.stopPropagation();
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((one) => one.startsWith("image/"));
        if (type) return upload(new File([await item.getType(type)], "clipboard", { type }));
      }
      tell(NOTHING_COPIED);
    } catch (error) {
      console.warn(error);
      tell(NOT_READ);
    }
  };
  window.addEventListener("click", read, { capture: true });
}

/** Gradio's own says nothing where it gets no picture. */
function listenToCamera(tell) {
  window.addEventListener("unhandledrejection", (event) => {
    if (!(event.reason instanceof DOMException) || !document.querySelector(CAMERA_SHOWN)) return;
    event.preventDefault();
    tell(cameraProblem(event.reason));
  });
}

/** The file of a network, or undefined. */
function weightsAmong(files) {
  const likely = files.filter(({ name }) => WEIGHTS.test(name));
  return likely.find(({ name }) => !BESIDE_WEIGHTS.test(name)) ?? likely[0];
}

/** The file with the class names, or undefined. */
function labelsAmong(files) {
  const texts = files.filter(({ name }) => LABELS.test(name));
  if (texts.length === 1) return texts[0];
  return WITH_LABELS.map((pattern) => texts.find(({ name }) => pattern.test(name))).find(Boolean);
}

const hasFiles = (transfer) => [...(transfer?.types ?? [])].includes("Files");

/** The files that lie directly in a folder. */
async function filesIn(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    // The reader returns a few entries at a time.
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) break;
    entries.push(...some);
  }
  const files = entries.filter(({ isFile }) => isFile);
  const opened = files.map((entry) => new Promise((resolve) => entry.file(resolve, () => resolve(null))));
  return (await Promise.all(opened)).filter(Boolean);
}

/** The content of a drop or the clipboard, as {files, folders, text}. text: the address of a picture or a page, or any
 * other text. */
function contentOf(transfer) {
  const items = [...(transfer?.items ?? [])].filter(({ kind }) => kind === "file");
  const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory ?? false;
  const folders = items.filter(isFolder).map((item) => item.webkitGetAsEntry());
  const files = items
    .filter((item) => !isFolder(item))
    .map((item) => item.getAsFile())
    .filter(Boolean);
  return { files, folders, text: files.length || folders.length ? "" : textOf(transfer) };
}

/** The text of a drop: preferably the address of the picture itself, not of the page that it links to. */
function textOf(transfer) {
  const html = new DOMParser().parseFromString(transfer?.getData("text/html") ?? "", "text/html");
  const source = html.querySelector("img[src]")?.getAttribute("src") ?? "";
  if (isAddress(source) || isData(source)) return source;
  const addresses = (transfer?.getData("text/uri-list") ?? "").split(/\r?\n/);
  const address = addresses.find((line) => line && !line.startsWith("#"));
  return (address || (transfer?.getData("text/plain") ?? "")).trim();
}

function fileOf(data) {
  const [head, base64] = data.split(",", 2);
  return new File([bytesOf(base64)], "picture", { type: head.slice("data:".length).split(";")[0] });
}
