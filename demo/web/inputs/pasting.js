// A picture that is pasted or dropped anywhere on the page is uploaded as the photo.

function upload(files) {
  const input = document.querySelector("#photo input[type=file]");
  const picture = [...files].find((file) => file.type.startsWith("image/"));
  if (!input || !picture) return false;
  const transfer = new DataTransfer();
  transfer.items.add(picture);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

export function acceptPicturesAnywhere() {
  document.addEventListener("paste", (event) => {
    if (upload(event.clipboardData?.files ?? [])) event.preventDefault();
  });
  // Without this a file that misses the box would replace the page.
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (event.defaultPrevented) return; // the box itself took it
    event.preventDefault();
    upload(event.dataTransfer?.files ?? []);
  });
}
