// "Cover it and look again": the tool for drawing boxes and brush strokes on the photo with the mouse, a finger or
// the keyboard, and the bar with its buttons.

import { h } from "../core/elements.js";
import { icon, iconButton } from "../dom.js";

const FILL_NAMES = { blur: "Blur", grey: "Grey", mean: "Mean colour" };
const SHAPES = [
  ["box", "Box"],
  ["brush", "Brush"],
];
const RADIUS = { value: 0.08, least: 0.02, most: 0.3 }; // shares of the photo's shorter side
const SIDE = { value: 0.35, least: 0.05, most: 1, step: 0.05 }; // of the box that keys move
const STEP = 0.025; // by which a key moves the box
const LEAST_BOX = 0.01; // a smaller box was a click
const SURFACES = ".panel .photo-layers, .panel.tile img, #photo img";
const HELP =
  "Draw on any photo. The hottest place is a box with about a fifth of what the networks saw, for all maps together; a " +
  "panel's flame covers that of its own map. ";
const HELP_KEYS = "Keys on a photo: arrows move a box, + and − size it, Enter covers, Ctrl+Z undoes, Esc leaves.";
const HELP_TOUCH = "Draw with a finger on a photo; scroll beside it.";

export class CoverTool {
  /** act: draft(shape or null), cover(shape, fill), hottest(fill), elsewhere(), undo(), clear(), changed().
   * ratio(): the photo's width over its height. limits: {fills, covers, points}, from demo/ui/page_data.py. */
  constructor({ act, ratio, limits }) {
    Object.assign(this, { act, ratio, limits });
    this.side = SIDE.value;
    this.shape = choice("cover-shape", "Draw", SHAPES, () => (this.sizeField.hidden = this.shape.value() !== "brush"));
    this.size = h("input", { type: "range", id: "brush-size", min: RADIUS.least, max: RADIUS.most, step: 0.01, value: RADIUS.value });
    this.sizeField = h("div", { class: "field", hidden: true }, h("label", { for: "brush-size" }, "size"), this.size);
    this.fill = h("select", { id: "cover-fill" }, ...limits.fills.map((value) => h("option", { value }, FILL_NAMES[value] ?? value)));
    const button = (text, action, attributes = {}) =>
      h("button", { type: "button", class: "action", onclick: action, ...attributes }, text);
    this.hottestButton = button("Cover the hottest", () => act.hottest(this.fill.value), {
      title: "The hottest fifth, as a box, of all maps together; each panel has a button for its own map",
    });
    this.coldButton = button("Same area at a cold place", () => act.elsewhere(), {
      title: "Cover an equal area where the maps are coldest, for comparison",
    });
    this.undoButton = button("Undo", () => act.undo(), { title: "Undo the last cover (Ctrl+Z)" });
    this.clearButton = button("Uncover all", () => act.clear());
    this.element = h(
      "section",
      { class: "cover-bar", "aria-label": "Cover a place", hidden: true },
      h("b", {}, icon("cover"), "Cover"),
      this.shape.element,
      this.sizeField,
      h("div", { class: "field" }, h("label", { for: "cover-fill" }, "with"), this.fill),
      this.hottestButton,
      this.coldButton,
      this.undoButton,
      this.clearButton,
      h("p", { class: "subtle" }, HELP, h("span", { class: "of-keys" }, HELP_KEYS), h("span", { class: "of-touch" }, HELP_TOUCH)),
      iconButton("close", "Leave the cover tool", () => this.toggle(false), { class: "tool" }),
    );
    this.setCovers([]);
    this.listenToPointer();
    this.listenToKeyboard();
  }

  get isOn() {
    return !this.element.hidden;
  }

  get radius() {
    return Number(this.size.value);
  }

  /** Switches the tool on or off; returns whether it is on. withKeys: whether to focus the first photo for the keyboard. */
  toggle(isOn = !this.isOn, withKeys = false) {
    this.element.hidden = !isOn;
    document.body.classList.toggle("drawing-covers", isOn);
    for (const photo of document.querySelectorAll(".panel[data-model] .photo-layers")) this.setFocusable(photo);
    this.setDraft(null);
    this.act.changed();
    if (isOn && withKeys) document.querySelector(".panel[data-model] .photo-layers")?.focus({ preventScroll: true });
    return isOn;
  }

  /** Makes a photo reachable with Tab while the tool is on. */
  setFocusable(photo) {
    if (this.isOn) {
      photo.tabIndex = 0;
      photo.setAttribute("role", "application");
      photo.setAttribute("aria-label", "The photo, to be covered: arrows move a box, plus and minus size it, Enter covers");
    } else for (const name of ["tabindex", "role", "aria-label"]) photo.removeAttribute(name);
  }

  setCovers(covers) {
    for (const button of [this.coldButton, this.undoButton, this.clearButton]) button.disabled = !covers.length;
  }

  setDraft(shape) {
    this.current = shape;
    this.act.draft(shape);
  }

  finish() {
    const shape = this.current;
    this.setDraft(null);
    if (!shape) return;
    if (shape.box) {
      const [left, top, right, bottom] = shape.box;
      if (right - left < LEAST_BOX || bottom - top < LEAST_BOX) return;
    }
    this.act.cover(shape, this.fill.value);
  }

  // The mouse, a pen or a finger

  listenToPointer() {
    const options = { capture: true };
    document.addEventListener("pointerdown", (event) => this.begin(event), options);
    document.addEventListener("pointermove", (event) => this.move(event), options);
    document.addEventListener("pointerup", (event) => this.end(event), options);
    document.addEventListener("pointercancel", () => this.cancel(), options);
    // Otherwise the browser would drag the image, or Gradio open its control.
    for (const kind of ["dragstart", "click"]) {
      document.addEventListener(kind, (event) => this.isOn && event.target.matches?.("#photo img, .tile img") && stop(event), options);
    }
  }

  begin(event) {
    const surface = this.isOn && event.isPrimary && event.button === 0 && event.target.closest?.(SURFACES);
    if (!surface) return;
    event.preventDefault();
    this.surface = surface;
    surface.focus?.({ preventScroll: true });
    this.start = placeOn(surface, event);
    surface.setPointerCapture(event.pointerId);
    this.points = [this.start];
    if (this.shape.value() === "brush") this.setDraft({ points: this.points, radius: this.radius });
    else this.setDraft({ box: [...this.start, ...this.start] });
  }

  move(event) {
    if (!this.surface || !event.isPrimary) return;
    event.preventDefault();
    const [x, y] = placeOn(this.surface, event);
    if (this.current?.box) {
      const [x0, y0] = this.start;
      this.setDraft({ box: [Math.min(x, x0), Math.min(y, y0), Math.max(x, x0), Math.max(y, y0)] });
      return;
    }
    const [before] = this.points.slice(-1);
    const isFar = Math.hypot(x - before[0], y - before[1]) > this.radius / 5;
    if (!isFar || this.points.length >= this.limits.points) return;
    this.points.push([x, y]);
    this.setDraft({ points: this.points, radius: this.radius });
  }

  end(event) {
    if (!this.surface || !event.isPrimary) return;
    this.move(event);
    this.surface = null;
    this.finish();
  }

  cancel() {
    if (!this.surface) return;
    this.surface = null;
    this.setDraft(null);
  }

  // The keyboard

  listenToKeyboard() {
    document.addEventListener("keydown", (event) => this.isOn && this.press(event), { capture: true });
    document.addEventListener("focusin", ({ target }) => {
      if (this.isOn && target.matches(".photo-layers:focus-visible") && !this.surface) this.showBox();
    });
    document.addEventListener("focusout", ({ target }) => {
      if (this.isOn && target.matches?.(".photo-layers") && !this.surface) this.setDraft(null);
    });
  }

  press(event) {
    const isTyping = event.target.closest("input:not([type=radio]), textarea, select");
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !isTyping) {
      stop(event);
      this.act.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !event.target.matches?.(".panel .photo-layers")) return;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const sizes = { "+": 1, "=": 1, "-": -1, "−": -1 };
    if (moves[event.key]) this.moveBox(moves[event.key].map((by) => by * (event.shiftKey ? 4 : 1) * STEP));
    else if (sizes[event.key]) {
      this.side = Math.min(Math.max(this.side + sizes[event.key] * SIDE.step, SIDE.least), SIDE.most);
      this.moveBox([0, 0]);
    } else if (event.key === "Enter") {
      if (!this.current) this.showBox();
      else this.finish();
    } else return;
    stop(event);
  }

  showBox() {
    this.centre ??= [0.5, 0.5];
    this.moveBox([0, 0]);
  }

  moveBox(by) {
    const ratio = this.ratio();
    const half = [Math.min(1, 1 / ratio), Math.min(1, ratio)].map((share) => (this.side * share) / 2);
    const inside = (place, i) => Math.min(Math.max(place + by[i], half[i]), 1 - half[i]);
    this.centre = (this.centre ?? [0.5, 0.5]).map(inside);
    const [x, y] = this.centre;
    this.setDraft({ box: [x - half[0], y - half[1], x + half[0], y + half[1]] });
  }
}

function stop(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** The pointer's place on a photo, as shares of its sides. An image may be smaller or larger than its element. */
function placeOn(surface, { clientX, clientY }) {
  let { left, top, width, height } = surface.getBoundingClientRect();
  if (surface.naturalWidth && getComputedStyle(surface).objectFit !== "fill") {
    const fit = getComputedStyle(surface).objectFit === "cover" ? Math.max : Math.min;
    const scale = fit(width / surface.naturalWidth, height / surface.naturalHeight);
    const [wide, high] = [surface.naturalWidth * scale, surface.naturalHeight * scale];
    [left, top, width, height] = [left + (width - wide) / 2, top + (height - high) / 2, wide, high];
  }
  const share = (place, start, side) => Math.min(Math.max((place - start) / side, 0), 1);
  return [share(clientX, left, width), share(clientY, top, height)];
}

/** A row of radio buttons, as {element, value()}. */
function choice(name, title, values, onchange) {
  const inputs = values.map(([value], i) => h("input", { type: "radio", name, value, checked: i === 0, onchange }));
  const element = h(
    "fieldset",
    { class: "segments" },
    h("legend", { class: "visually-hidden" }, title),
    ...inputs.map((input, i) => h("label", {}, input, h("span", {}, values[i][1]))),
  );
  return { element, value: () => inputs.find((input) => input.checked).value };
}
