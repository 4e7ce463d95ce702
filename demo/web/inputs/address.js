// The form for the address of a picture, which demo/ui/layout.py puts on the page as plain HTML.

/** Calls `choose` with the address that a person submits. */
export function listenToAddressForm(choose) {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest?.("[data-address]");
    if (!form) return;
    event.preventDefault();
    const address = new FormData(form).get("picture").trim();
    if (address) choose(address);
  });
}
