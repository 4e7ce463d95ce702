// What demo/ui/layout.py puts on the page as plain HTML: the examples, the form for an address on the
// web, and the button that unfolds the settings on a small screen.

export class Examples {
  /** names: of the examples, in their order. choose(photo): one of them, or of the web. */
  constructor(names, choose) {
    this.names = names;
    this.choose = choose;
    document.addEventListener("click", ({ target }) => {
      const example = target.closest?.("[data-example]");
      if (example) this.choose({ example: example.dataset.example });
      const button = target.closest?.("[data-unfolds]");
      if (button) unfold(button);
    });
    document.addEventListener("submit", (event) => {
      const form = event.target.closest?.("[data-address]");
      if (!form) return;
      event.preventDefault();
      const address = new FormData(form).get("picture").trim();
      if (address) this.choose({ address });
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

function unfold(button) {
  const isOpen = document.body.classList.toggle("settings-open");
  button.setAttribute("aria-expanded", String(isOpen));
}
