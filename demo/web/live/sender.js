// A web worker that shrinks a frame and sends it, while the page draws the previous one.

const SIDE_PX = 336; // shorter side of a sent frame, from which the networks cut their crops
const QUALITY = 0.85;

const NO_ANSWER = "The server does not answer. Trying again …";

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true });

/** image: the frame's bitmap; url: with the parameters of `LiveRequest` (demo/server/requests.py); number: the frame's.
 * Posts {number, answer}; the answer is {results, pause_s} or {problem, again}. */
addEventListener("message", async ({ data: { image, url, number } }) => {
  const scale = Math.min(1, SIDE_PX / Math.min(image.width, image.height));
  const size = { width: Math.round(image.width * scale), height: Math.round(image.height * scale) };
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  context.imageSmoothingQuality = "medium";
  context.drawImage(image, 0, 0, size.width, size.height);
  image.close();
  const body = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  try {
    const response = await fetch(url, { method: "POST", headers: { "Content-Type": body.type }, body });
    postMessage({ number, answer: await response.json() });
  } catch {
    postMessage({ number, answer: { problem: NO_ANSWER } });
  }
});
