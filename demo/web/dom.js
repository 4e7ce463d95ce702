// Elements that several parts of the page use: icons, menus, dialogs; text and clipboard.

import { h } from "./core/elements.js";

const ICONS = {
  download: "M12 4v11m0 0l-4.5-4.5M12 15l4.5-4.5M5 20h14",
  fullscreen: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  present: "M3 5h18v11H3zM12 16v4M8 20h8",
  share: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  keys: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8",
  methods: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  check: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM8.5 12l2.5 2.5 4.5-5",
  holds: "M5 13l4.5 4.5L19 7",
  unclear: "M8.5 9a3.5 3.5 0 1 1 5.6 2.8c-1.3 1-2.1 1.7-2.1 3.2M12 19v.1",
  fails: "M12 3.5L2.5 20h19zM12 10v4.5M12 17.2v.1",
  steps: "M4 19h4v-5h4V9h4V4h4",
  cover: "M4 4h16v16H4zM8 9h8v6H8zM8 13l4-4M11 15l5-5",
  hottest: "M12 3c1 4 5 5.5 5 10a5 5 0 0 1-10 0c0-2 1-3 2-4 .3 1.5 1 2 1.800 2C11 8 10.500 5.500 12 3z",
  live: "M3 7h12v10H3zM15 11l6-4v10l-6-4",
  camera: "M4 8h4l2-3h4l2 3h4v11H4zM12 10a3.5 3.5 0 1 0 0 7a3.5 3.5 0 0 0 0-7z",
  pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7",
  retry: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
  close: "M6 6l12 12M18 6L6 18",
};

/** An icon in the colour of the text around it; hidden from screen readers. */
export function icon(name) {
  const box = h("span", { class: "icon", "aria-hidden": "true" });
  box.innerHTML = `<svg viewBox="0 0 24 24"><path d="${ICONS[name]}"/></svg>`;
  return box;
}

/** A button with an icon; screen readers read `label`. word: a short visible text, which phones show. */
export const iconButton = (name, label, act, { word, ...attributes } = {}) =>
  h(
    "button",
    { type: "button", title: label, "aria-label": label, onclick: act, ...attributes },
    icon(name),
    word && h("span", { class: "word" }, word),
  );

const LETTER = "[\\p{Script=Arabic}\\p{Script=Hebrew}\\p{Script=Syriac}\\p{Script=Thaana}\\p{Script=Nko}]";
const WORDS = `${LETTER}\\p{M}*(?:\\s*${LETTER}\\p{M}*)*`;
const RIGHT_TO_LEFT = new RegExp(`${WORDS}(?: \\(${WORDS}\\))?`, "gu");

/** A sentence in which no line breaks between a number and its signs: "< 0.1 %". */
export const together = (text) => isolated(text.replaceAll(" %", "\u00a0%").replace(/([<>]) (?=\d)/g, "$1\u00a0"));

/** A sentence whose right-to-left names are isolated, so that they do not reorder the numbers beside them. */
const isolated = (text) => text.replace(RIGHT_TO_LEFT, "\u2068$&\u2069");

/** Resolves once each selector finds an element. Gradio loads its components' scripts one by one, so some components
 * may appear on the page only after our script has started. */
export function elementsFor(...selectors) {
  const isComplete = () => selectors.every((selector) => document.querySelector(selector));
  return new Promise((resolve) => {
    const look = () => {
      if (!isComplete()) return;
      observer.disconnect();
      resolve();
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { childList: true, subtree: true });
    look();
  });
}

/** Writes to the clipboard; returns whether that worked: browsers allow it only to pages from HTTPS or this machine. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A menu under a button; the browser closes it at a click elsewhere or Escape. */
export function menu(button, label, entries) {
  const list = h("div", { class: "menu", popover: "auto", role: "group", "aria-label": label });
  const fill = () =>
    list.replaceChildren(
      ...entries().map(([text, note, act]) =>
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              list.hidePopover();
              act();
            },
          },
          h("span", {}, text),
          h("small", {}, note),
        ),
      ),
    );
  button.setAttribute("aria-haspopup", "true");
  button.setAttribute("aria-expanded", "false");
  button.popoverTargetElement = list;
  list.addEventListener("beforetoggle", (event) => event.newState === "open" && fill());
  list.addEventListener("toggle", (event) => {
    const isOpen = event.newState === "open";
    button.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return;
    const { bottom, right } = button.getBoundingClientRect();
    const width = list.offsetWidth;
    const below = Math.min(bottom + 4, innerHeight - list.offsetHeight - 8);
    list.style.inset = `${Math.max(8, below)}px auto auto ${Math.max(8, Math.min(right, innerWidth - 8) - width)}px`;
    list.querySelector("button")?.focus();
  });
  return list;
}

/** A dialog with a heading and a close button; `showModal` shows it. */
export function dialog(title, ...children) {
  const id = `dialog-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  const made = h(
    "dialog",
    { class: "dialog", "aria-labelledby": id },
    h(
      "header",
      {},
      h("h2", { id }, title),
      iconButton("close", "Close", () => made.close(), { class: "tool" }),
    ),
    ...children,
  );
  made.addEventListener("click", (event) => event.target === made && made.close());
  return made;
}
