// Says which of the photo's sources cannot work here, before a visitor clicks them: browsers allow the camera and the
// clipboard only to pages from HTTPS or their own machine, and a site that shows this page in a frame may deny them.

const INSECURE =
  "The camera and the clipboard button need https, or a browser on the machine that runs the app. Ctrl+V also " +
  "pastes a picture, and phones offer their camera when you choose a file.";
const NO_CAMERA = "No camera is available here. Phones offer their camera when you choose a file.";
const NO_CLIPBOARD = "This browser does not let a button read the clipboard. Ctrl+V also pastes a picture.";
const FRAMED = "The site that embeds this page does not let it use the ";

const isLent = (name) => (document.permissionsPolicy ?? document.featurePolicy)?.allowsFeature(name) ?? true;

/** note: the element for the sentences, hidden until there are any. */
export function explainMissingSources(note) {
  const hasCamera = Boolean(navigator.mediaDevices?.getUserMedia);
  const hasClipboard = Boolean(navigator.clipboard?.read);
  const kept = [
    hasCamera && !isLent("camera") && "camera",
    hasClipboard && !isLent("clipboard-read") && "clipboard",
  ].filter(Boolean);
  const sentences = [
    !isSecureContext && INSECURE,
    kept.length && `${FRAMED}${kept.join(" and the ")}. Open it in a tab of its own.`,
    isSecureContext && !hasCamera && NO_CAMERA,
    isSecureContext && !hasClipboard && NO_CLIPBOARD,
  ].filter(Boolean);
  document.body.classList.toggle("without-camera", !hasCamera || kept.includes("camera"));
  document.body.classList.toggle("without-clipboard", !hasClipboard || kept.includes("clipboard"));
  note.textContent = sentences.join(" ");
  note.hidden = !sentences.length;
}
