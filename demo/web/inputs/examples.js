// The example pictures, which demo/ui/layout.py puts on the page as plain HTML.

export class Examples {
  /** names: of the examples, in their order. choose(photo): one of them. */
  constructor(names, choose) {
    this.names = names;
    this.choose = choose;
    document.addEventListener("click", ({ target }) => {
      const example = target.closest?.("[data-example]");
      if (example) this.choose({ example: example.dataset.example });
    });
  }

  /** Marks the chosen one. */
  mark(photo) {
    for (const button of document.querySelectorAll("[data-example]")) {
      button.setAttribute("aria-pressed", String(button.dataset.example === photo?.example));
    }
  }

  /** The one before or after a photo; the first or last, if that is none of them. */
  step(photo, by) {
    const { names } = this;
    const at = names.indexOf(photo?.example);
    const next = at < 0 ? (by > 0 ? 0 : names.length - 1) : (at + by + names.length) % names.length;
    this.choose({ example: names[next] });
  }
}
