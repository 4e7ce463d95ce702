// The button that unfolds the settings on a small screen, which demo/ui/layout.py puts on the page.

export function listenToSettingsButton() {
  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("[data-unfolds]");
    if (!button) return;
    const isOpen = document.body.classList.toggle("settings-open");
    button.setAttribute("aria-expanded", String(isOpen));
  });
}
