// Hands every picture that is pasted or dropped anywhere on the page to the photo's own upload.

function give(files) {
  const input = document.querySelector("#photo input[type=file]");
  const picture = [...files].find((file) => file.type.startsWith("image/"));
  if (!input || !picture) return false;
  const transfer = new DataTransfer();
  transfer.items.add(picture);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

export function takePicturesAnywhere() {
  document.addEventListener("paste", (event) => {
    if (give(event.clipboardData?.files ?? [])) event.preventDefault();
  });
  // Without this a file that misses the box would replace the page.
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (event.defaultPrevented) return; // the box itself took it
    event.preventDefault();
    give(event.dataTransfer?.files ?? []);
  });
}
