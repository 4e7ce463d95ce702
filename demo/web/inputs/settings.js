// The button that unfolds the settings on a small screen, and the links that skip to the results, both of which
// demo/ui/layout.py puts on the page; and closing the parts that buttons have opened.

const OPENED = "[data-unfolds][aria-expanded=true], .headline .actions > [aria-expanded=true]";

export function listenToSettingsButton() {
  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("[data-unfolds]");
    if (!button) return;
    const isOpen = document.body.classList.toggle("settings-open");
    button.setAttribute("aria-expanded", String(isOpen));
  });
}

/** Makes the skip links lead to the first prediction, or to the results if there is none yet. */
export function listenToSkipLinks() {
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("a.skip")) return;
    event.preventDefault();
    const first = document.querySelector(".panel[data-model] .top button:enabled");
    (first ?? document.querySelector(".page > .app")).focus();
  });
}

/** Closes the last part of the page that a button has opened, and focuses that button. */
export function closeOpened() {
  const button = [...document.querySelectorAll(OPENED)].filter((one) => one.checkVisibility()).at(-1);
  button?.click();
  button?.focus();
}
