// The search for a class by a key, which also works in a presentation, where the field at the left is out of reach.

import { h } from "../core/elements.js";
import { dialog } from "../dom.js";
import { ClassField } from "./class_field.js";

export class ClassSearch {
  /** settings: none, classes(), textOf(index), choose(index), as for `ClassField`. */
  constructor({ choose, ...settings }) {
    const id = "searched-class";
    const input = h("input", {
      type: "text",
      id,
      role: "combobox",
      "aria-expanded": "false",
      "aria-autocomplete": "list",
      "aria-controls": `${id}-list`,
      autocomplete: "off",
      spellcheck: "false",
      value: settings.none,
    });
    const element = h(
      "div",
      { class: "class-field" },
      h("label", { class: "visually-hidden", for: id }, "Name, synonym or kind"),
      input,
      h("p", { class: "note", role: "status" }),
      h("ul", { role: "listbox", id: `${id}-list`, "aria-label": "Classes", hidden: true }),
    );
    this.element = dialog("Search for a class", element);
    this.element.classList.add("class-search");
    this.field = new ClassField({
      ...settings,
      element,
      choose: (index) => {
        this.element.close();
        choose(index);
      },
    });
    // Otherwise the first Escape would only close the list.
    const leave = (event) => event.key === "Escape" && this.element.close();
    this.element.addEventListener("keydown", leave, { capture: true });
    this.element.addEventListener("close", () => this.field.close());
  }

  open(index) {
    this.field.show(index);
    this.element.showModal();
    this.field.input.focus();
    this.field.open();
  }
}
