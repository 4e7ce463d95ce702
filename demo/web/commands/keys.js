// The keyboard shortcuts, and the dialog that lists them.

import { h } from "../core/elements.js";
import { dialog } from "../dom.js";

const key = (shown, action, text, ...given) => ({ shown, text, keys: [shown], act: (actions) => actions[action](...given) });

/** shown, text: for the dialog. act: calls an action of actions.js; returns false to leave the key to the browser. */
const KEYS = [
  {
    shown: "1 … 5",
    text: "explain that prediction of the focused panel, or of the first one",
    keys: ["1", "2", "3", "4", "5"],
    act: (actions, digit) => actions.choose(Number(digit) - 1),
  },
  key("o", "toggleOverlay", "switch between overlay and photo"),
  key("c", "cover", "cover a place of the photo: arrows move the box, + − size it, Enter covers", true),
  key("f", "fullScreen", "full screen for the focused panel, on or off"),
  key("l", "live", "live: what the networks see through the camera; there Space freezes, Esc leaves"),
  key("/", "search", "search for a class by name, synonym or kind"),
  key("s", "sharp", "sharp maps on or off"),
  key("w", "whole", "whole photo or centre crop"),
  key("a", "toggleSigned", "for and against, on or off"),
  key("h", "steps", "how these maps are made, step by step"),
  key("t", "check", "how far these maps can be trusted"),
  key("q", "code", "this view's address as a QR code for phones"),
  key("p", "present", "presentation on or off"),
  key("v", "photo", "in a presentation: the photo in the corner, on or off"),
  {
    shown: "← →",
    text: "in a presentation: previous or next picture, or step",
    keys: ["ArrowLeft", "ArrowRight"],
    act: (actions, arrow, { target }) => !target.closest("input") && actions.step(arrow === "ArrowRight" ? 1 : -1),
  },
  {
    shown: "Esc",
    text: "leave the presentation or full screen, close what was opened",
    keys: ["Escape"],
    act: (actions) => actions.leave(),
  },
  key("?", "help", "show these keys"),
];

export const keysDialog = () =>
  dialog(
    "Keys",
    h(
      "dl",
      { class: "keys" },
      ...KEYS.map(({ shown, text }) => h("div", {}, h("dt", {}, h("kbd", {}, shown)), h("dd", {}, text))),
    ),
  );

const TYPED_INTO = "input:not([type=radio], [type=checkbox], [type=range]), textarea, select";

/** Whether a dialog, a menu, a list or a field handles the key itself. */
function isTaken({ key, target }) {
  if (document.querySelector("dialog[open], :popover-open")) return true;
  return key === "Escape" ? target.matches("[role=combobox]") : target.closest(TYPED_INTO) !== null;
}

/** Calls `actions` by key, except while a person types or another control handles the key. */
export function listenToKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTaken(event)) return;
    const pressed = KEYS.find(({ keys }) => keys.includes(event.key));
    if (pressed && pressed.act(actions, event.key, event) !== false) event.preventDefault();
  });
}
