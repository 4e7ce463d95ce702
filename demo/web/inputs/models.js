// Improves Gradio's dropdown of models: a click anywhere in its box opens and closes the list, and the buttons that
// remove a model are named after the model, not after its number.

export function improveModels() {
  const control = document.querySelector("#models");
  control.addEventListener("mousedown", (event) => {
    if (event.target.closest(".token-remove, .options")) return;
    event.preventDefault(); // keeps the browser from moving the focus, which is set below
    const input = control.querySelector("input");
    const isOpen = input.ariaExpanded === "true";
    input.blur(); // closes the list; Gradio opens it only for a new focus
    if (!isOpen) input.focus({ preventScroll: true });
  });
  const nameButtons = () => {
    for (const chip of control.querySelectorAll(".token")) {
      const name = `Remove ${chip.querySelector("span").textContent}`;
      const button = chip.querySelector(".token-remove");
      if (button && button.title !== name) button.title = name;
    }
  };
  nameButtons();
  const changes = { subtree: true, childList: true, characterData: true, attributeFilter: ["title"] };
  new MutationObserver(nameButtons).observe(control, changes);
}
