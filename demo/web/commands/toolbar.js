// The toolbar: how the maps are drawn, and actions on them. Of the drawing options, only the layer needs the server.

import { h } from "../core/elements.js";
import { icon, menu } from "../dom.js";

const DISPLAY_MODES = [
  ["overlay", "Overlay"],
  ["heat", "Heat"],
  ["photo", "Photo"],
];

// On narrow screens only the icon is shown; screen readers still read the name.
const BRIEF = { class: "action brief" };

export class Toolbar {
  /** colormaps: [name, title] of each. steps: of the layer slider. actions: see actions.js. */
  constructor({ colormaps, opacity, steps, actions }) {
    this.steps = steps;
    this.layers = DISPLAY_MODES.map(([value, title]) => {
      const input = h("input", {
        type: "radio",
        name: "layers",
        value,
        checked: value === "overlay",
        onchange: () => actions.setDisplay({ layers: value }),
      });
      return h("label", {}, input, h("span", {}, title));
    });
    this.opacity = h("input", {
      type: "range",
      id: "opacity",
      min: 0,
      max: 1,
      step: 0.05,
      value: opacity,
      oninput: (event) => actions.setDisplay({ opacity: Number(event.target.value) }),
    });
    this.colors = h(
      "select",
      { id: "colors", onchange: (event) => actions.setDisplay({ colormap: event.target.value }) },
      ...colormaps.map(([name, title]) => h("option", { value: name }, title)),
    );
    this.layer = h("input", {
      type: "range",
      id: "layer",
      min: 0,
      max: steps,
      step: 1,
      value: steps,
      oninput: (event) => actions.setLayer(Number(event.target.value) / steps),
    });
    this.layerText = h("output", { class: "layer-text", for: "layer" });
    this.signed = h("input", {
      type: "checkbox",
      id: "signed",
      onchange: (event) => actions.setSigned(event.target.checked),
    });
    this.colorsField = h("div", { class: "field" }, h("label", { for: "colors" }, "Colours"), this.colors);
    const button = (name, label, title, action, attributes = {}) =>
      h(
        "button",
        { type: "button", class: "action", title, "aria-label": label, onclick: action, ...attributes },
        icon(name),
        h("span", {}, label),
      );
    const downloadButton = button("download", "Download", "Figure, maps, or all of it");
    const opener = (...of) => button(...of, { "aria-expanded": "false" });
    this.openers = {
      cover: opener("cover", "Cover", "Cover a place of the photo and look again (c)", () => actions.cover(false)),
      steps: opener("steps", "How", "How these maps are made, step by step (h)", actions.steps),
      check: opener("check", "Trust", "How far can I trust these maps?", actions.check),
      methods: opener("methods", "Methods", "All methods for one network", actions.methods),
    };
    this.element = h(
      "div",
      { class: "toolbar", role: "group", "aria-label": "Display" },
      h("fieldset", { class: "segments" }, h("legend", { class: "visually-hidden" }, "Show"), ...this.layers),
      h("div", { class: "field" }, h("label", { for: "opacity" }, "Opacity"), this.opacity),
      this.colorsField,
      h("div", { class: "field" }, h("label", { for: "layer" }, "Layer"), this.layer, this.layerText),
      h(
        "div",
        { class: "field" },
        this.signed,
        h("label", { for: "signed", title: "Orange speaks for the class, blue against it" }, "For and against"),
      ),
    );
    this.explaining = h("h2");
    this.headline = h(
      "div",
      { class: "headline" },
      this.explaining,
      h(
        "div",
        { class: "actions" },
        ...Object.values(this.openers),
        downloadButton,
        menu(downloadButton, "Download", () => [
          ["Figure for a slide", "PNG, 16:9, light", () => actions.download("comparison.png", "light")],
          ["Figure for a slide", "PNG, 16:9, dark", () => actions.download("comparison.png", "dark")],
          ["Figure for a slide", "SVG, light", () => actions.download("comparison.svg", "light")],
          ["Figure for a slide", "SVG, dark", () => actions.download("comparison.svg", "dark")],
          ["Everything", "ZIP: figure, overlays, heatmaps, numbers", () => actions.download("everything.zip")],
        ]),
        button("share", "Share", "A link to this view", actions.share, BRIEF),
        button("present", "Present", "Only the picture and the maps (p)", actions.present),
        button("keys", "Keys", "What the keys do (?)", actions.help, BRIEF),
      ),
    );
    this.setLayer(1);
  }

  /** share: the layer's position, from 0 (the first feature map) to 1 (the last). */
  setLayer(share) {
    const at = Math.round(share * this.steps);
    this.layer.value = at;
    const text = at === this.steps ? "last" : at === 0 ? "first" : `${at + 1} of ${this.steps + 1}`;
    this.layerText.textContent = text;
    this.layer.setAttribute("aria-valuetext", text);
  }

  /** Says what is explained. target: a class name, null for each network's top class. contrast: a class name, null for
   * none, true for the most probable others. */
  setExplained(target, contrast) {
    const name = (text) => h("b", {}, text);
    const others = contrast === true ? "the most probable others" : name(contrast);
    this.explaining.replaceChildren(
      "Explaining ",
      target === null ? "each network's top class" : name(target),
      ...(contrast === null ? [] : [" rather than ", others]),
    );
  }

  setDisplayMode(value) {
    for (const label of this.layers) {
      const input = label.firstChild;
      input.checked = input.value === value;
    }
  }

  /** isPossible: whether the chosen method can make signed maps. */
  setSigned(isOn, isPossible) {
    this.signed.checked = isOn;
    this.signed.disabled = !isPossible;
    this.colorsField.hidden = isOn;
  }

  /** Marks a button's part as open or closed. name: "cover", "steps", "check" or "methods". */
  setOpen(name, isOpen) {
    this.openers[name].setAttribute("aria-expanded", String(isOpen));
  }
}
