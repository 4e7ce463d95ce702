// The keyboard: which key does what, and the dialog that says so.

import { h } from "../core/elements.js";
import { dialog } from "../dom.js";

const HELP = [
  ["1 … 5", "explain that prediction of the focused panel, or of the first one"],
  ["o", "switch between overlay and photo"],
  ["c", "cover a place of the photo: arrows move the box, + − size it, Enter covers"],
  ["f", "full screen for the focused panel, on or off"],
  ["l", "live: what the networks see through the camera; there Space freezes, Esc leaves"],
  ["/", "search a class by name, synonym or kind"],
  ["s", "sharp maps on or off"],
  ["w", "whole photo or centre crop"],
  ["a", "for and against, on or off"],
  ["h", "how these maps are made, step by step"],
  ["t", "how far these maps can be trusted"],
  ["q", "this view's address as a code for phones"],
  ["p", "presentation on or off"],
  ["v", "in a presentation: the photo in the corner, on or off"],
  ["← →", "in a presentation: previous or next picture, or step"],
  ["Esc", "leave the presentation or full screen, close what was opened"],
  ["?", "show these keys"],
];

export const keysDialog = () =>
  dialog(
    "Keys",
    h(
      "dl",
      { class: "keys" },
      ...HELP.map(([key, text]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text))),
    ),
  );

const TYPED_INTO = "input:not([type=radio], [type=checkbox], [type=range]), textarea, select";

/** Whether a dialog, a menu, a list or a field has a use of its own for the key. */
function isTaken({ key, target }) {
  if (document.querySelector("dialog[open], :popover-open")) return true;
  return key === "Escape" ? target.matches("[role=combobox]") : target.closest(TYPED_INTO) !== null;
}

/** Calls `act` by key, but not while a person types or uses another control. */
export function listenToKeys(act) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTaken(event)) return;
    const isSlider = event.target.closest("input");
    const { key } = event;
    let isDone = true;
    if (/^[1-5]$/.test(key)) act.choose(Number(key) - 1);
    else if (key === "o") act.toggleOverlay();
    else if (key === "c") act.cover();
    else if (key === "f") act.fullScreen();
    else if (key === "h") act.steps();
    else if (key === "l") act.live();
    else if (key === "/") act.search();
    else if (key === "s") act.sharp();
    else if (key === "w") act.whole();
    else if (key === "a") act.signed();
    else if (key === "t") act.check();
    else if (key === "q") act.code();
    else if (key === "v") act.photo();
    else if (key === "p") act.present();
    else if (key === "?") act.help();
    else if (key === "Escape") isDone = act.leave();
    else if (key === "ArrowRight" && !isSlider) isDone = act.step(1);
    else if (key === "ArrowLeft" && !isSlider) isDone = act.step(-1);
    else isDone = false;
    if (isDone) event.preventDefault();
  });
}
