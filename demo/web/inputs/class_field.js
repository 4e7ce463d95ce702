// The fields in which a visitor chooses a class, which demo/ui/layout.py puts on the page as plain HTML.
// Gradio's dropdown only filters by its own texts; here the server also finds kinds of things, and classes
// close in meaning to a word that is no class. While nobody types, the field shows the chosen class.

import { h } from "../core/elements.js";
import { findClasses } from "../requests.js";

const SEARCH_DELAY_MS = 150; // after the last letter

/** The selector of a field's element. */
export const classFieldOf = (name) => `[data-class-field="${name}"]`;

export class ClassField {
  /** element: the field's. none: its text if no class is chosen. classes(): all indices, in the order of the list;
   * textOf(index): a class with its synonyms; choose(index or null): called when the visitor chooses. */
  constructor({ element, none, classes, textOf, choose }) {
    Object.assign(this, { element, none, classes, textOf, choose });
    this.input = element.querySelector("input");
    this.note = element.querySelector(".note");
    this.list = element.querySelector("ul");
    this.value = null;
    this.input.addEventListener("click", () => this.open());
    this.input.addEventListener("focus", () => this.input.select());
    this.input.addEventListener("input", () => this.type());
    this.input.addEventListener("keydown", (event) => this.pressKey(event));
    this.input.addEventListener("blur", () => this.leave());
    this.list.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the focus in the field
    this.list.addEventListener("click", ({ target }) => {
      const option = target.closest("li");
      if (option) this.take(option);
    });
    // Keeps what a visitor has typed before this script was loaded.
    if (document.activeElement === this.input && this.input.value !== none) this.type();
    else this.show(null);
  }

  get isOpen() {
    return this.input.getAttribute("aria-expanded") === "true";
  }

  get options() {
    return [...this.list.children];
  }

  textFor(index) {
    return index === null ? this.none : this.textOf(index);
  }

  /** Shows the chosen class, unless a visitor is typing. */
  show(index) {
    this.value = index;
    if (!this.isOpen) this.input.value = this.textFor(index);
  }

  /** Lists all classes. */
  open() {
    if (this.isOpen) return;
    this.input.select();
    this.fill([null, ...this.classes()]);
    this.expand(true);
    this.activate(this.options.find((option) => option.getAttribute("aria-selected") === "true"));
  }

  close() {
    clearTimeout(this.waiting);
    this.searched = undefined;
    this.activate(undefined);
    this.expand(false);
    this.note.textContent = "";
    this.input.value = this.textFor(this.value);
  }

  expand(isOpen) {
    this.input.setAttribute("aria-expanded", String(isOpen));
    this.list.hidden = !isOpen || !this.list.children.length;
  }

  fill(indices) {
    this.list.replaceChildren(...indices.map((index) => this.option(index)));
    this.list.scrollTop = 0;
  }

  option(index) {
    const isChosen = index === this.value;
    const id = `${this.list.id}-${index ?? "none"}`;
    const made = h("li", { id, role: "option", "aria-selected": String(isChosen) }, this.textFor(index));
    made.index = index;
    return made;
  }

  /** Lists at once the names with a word that begins or ends with the typed letters, and a moment later what the server
   * finds, which includes these. */
  type() {
    const word = this.input.value.trim();
    const letters = word.toLowerCase();
    const indices = [null, ...this.classes()];
    const having = indices.filter((index) => hasWordLike(this.textFor(index).toLowerCase(), letters));
    this.note.textContent = "";
    this.fill(having);
    this.expand(true);
    this.activate(word ? this.options[0] : undefined);
    clearTimeout(this.waiting);
    this.searched = word;
    if (word) this.waiting = setTimeout(() => this.search(word, having), SEARCH_DELAY_MS);
  }

  async search(word, having) {
    const { classes, note } = await findClasses(word);
    if (this.searched !== word || !this.isOpen) return;
    // In the server's order, nearest first. A class that does not match the letters is not preselected.
    const { active } = this;
    const isPointedAt = active && active !== this.options[0];
    const none = having.filter((index) => index === null);
    this.fill(classes.length || note ? [...none, ...classes] : having); // unchanged if the server does not answer
    // The text may name the first class with other accents or spaces.
    const isNamed = !note.includes("” is not one of the ");
    const first = this.options.find(({ index }) => having.includes(index) || (isNamed && index === classes[0]));
    this.activate(
      this.options.find(({ index }) => isPointedAt && index === active.index) ??
        (first === this.options[0] ? first : undefined),
    );
    this.note.textContent = note;
    this.expand(true);
  }

  activate(option) {
    this.active?.classList.remove("active");
    this.active = option;
    if (!option) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    option.classList.add("active");
    option.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", option.id);
  }

  take({ index }) {
    this.value = index;
    this.close();
    this.choose(index);
  }

  pressKey(event) {
    const { key } = event;
    if (key === "ArrowDown" || key === "ArrowUp") {
      if (this.isOpen) this.step(key === "ArrowDown" ? 1 : -1);
      else this.open();
    } else if (key === "Enter") {
      if (this.isOpen && this.active) this.take(this.active);
    } else if (key === "Escape" && this.isOpen) this.close();
    else return;
    event.preventDefault();
  }

  step(by) {
    const { options } = this;
    if (!options.length) return;
    const at = options.indexOf(this.active);
    this.activate(options[at < 0 ? (by > 0 ? 0 : options.length - 1) : (at + by + options.length) % options.length]);
  }

  /** Chooses a class whose name was typed in full; otherwise shows the chosen class again. */
  leave() {
    if (!this.isOpen) return;
    const word = this.input.value.trim().toLowerCase();
    const named = this.options.find(
      ({ index }) => index !== null && this.textOf(index).toLowerCase().split(", ").includes(word),
    );
    if (named && named.index !== this.value && this.searched !== undefined) this.take(named);
    else this.close();
  }
}

/** Whether a word of a name begins or ends with these letters: "cat" in "tabby cat", not in "education". */
function hasWordLike(name, letters) {
  const isLetter = (place) => /[\p{L}\p{N}]/u.test(name[place] ?? " ");
  for (let at = name.indexOf(letters); at >= 0 && letters; at = name.indexOf(letters, at + 1)) {
    if (!isLetter(at - 1) || !isLetter(at + letters.length)) return true;
  }
  return !letters;
}
