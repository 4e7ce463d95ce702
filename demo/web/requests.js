// The page's requests to the server: explanations, whose answer is a stream of JSON lines (demo/server/stream.py),
// class searches, uploads and downloads.

import { bytesOf } from "./core/heat.js";

const NO_ANSWER = "The server does not answer. Try again in a moment.";

function urlFor(name, parameters = {}) {
  const url = new URL(name, document.baseURI);
  url.search = new URLSearchParams(parameters);
  return url;
}

/** The server's JSON answer; `otherwise` if there is none. */
async function answerTo(request, otherwise = { problem: NO_ANSWER }) {
  try {
    return await (await request).json();
  } catch (error) {
    console.warn(error);
    return otherwise;
  }
}

const post = (name, body, signal) =>
  fetch(urlFor(name), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

/** Whether there is no server behind the proxy that answered. */
const isOfProxy = ({ status, headers }) => status >= 502 && headers.get("Content-Type") !== "application/json";

/** Calls `onAnswer` with every answer. Ends without an error when `signal` aborts it. isAway: there is no server to answer,
 * or only a proxy before it. */
export async function streamExplanations(body, onAnswer, signal) {
  let isAway = true;
  try {
    const response = await post("explain-stream", body, signal);
    isAway = false;
    if (!response.ok) {
      const again = response.status === 503 ? 1 : undefined;
      onAnswer({ problem: await problemIn(response), again, isAway: isOfProxy(response) });
      return;
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let unfinished = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) break;
      const lines = (unfinished + value).split("\n");
      unfinished = lines.pop();
      for (const line of lines) if (!signal.aborted) onAnswer(JSON.parse(line));
    }
  } catch (error) {
    if (signal.aborted) return;
    onAnswer({ problem: NO_ANSWER, again: 1, isAway });
    console.warn(error);
  }
}

/** What sends frames of the camera: a thread with `ask(frame, request)`, which gives {results, pause_s} or {problem,
 * again}, and `end()`. request: see `LiveRequest` of demo/server/requests.py. fail(): its script does not come. */
export function frameSender(fail) {
  const worker = new Worker(new URL("live/sender.js", import.meta.url));
  worker.addEventListener("error", fail);
  const waiting = new Map(); // by the number of the frame
  worker.addEventListener("message", ({ data: { number, answer } }) => {
    waiting.get(number)?.(answer);
    waiting.delete(number);
  });
  return {
    async ask(frame, { target, ...request }) {
      const url = urlFor("live", target === undefined ? request : { ...request, target });
      const image = await createImageBitmap(frame.canvas);
      const answer = new Promise((resolve) => waiting.set(request.frame, resolve));
      worker.postMessage({ image, url: url.href, number: request.frame }, [image]);
      return answer;
    },
    end: () => worker.terminate(),
  };
}

/** The classes found for a typed text, as {classes, note}; both empty if the server does not answer. */
export async function findClasses(word) {
  const { classes = [], note = "" } = await answerTo(fetch(urlFor("class-search", { word })), {});
  return { classes, note };
}

/** The address at which others reach this page and its QR code, as {address, code}; or {problem}. */
export const pageCode = (link) => answerTo(fetch(urlFor("page-code", { link })));

/** Sends a file as Gradio's control does; gives the photo for a request, or throws an Error with a sentence; isAway: as above. */
export async function uploadFile(file) {
  const body = new FormData();
  body.append("files", file);
  const problem = new Error(`The file ${file.name} could not be sent to the server.`);
  let response;
  try {
    response = await fetch(urlFor("gradio_api/upload"), { method: "POST", body });
  } catch {
    const isThere = await file.slice(0, 1).arrayBuffer().then(() => true, () => false);
    if (!isThere) throw new Error(`${file.name} can no longer be read. Choose it again.`);
    // A proxy may close the connection on a file that is too large for it. A server that is away gives no small file either.
    const isAway = await fetch(urlFor("web/toast.js"), { cache: "no-store" }).then(({ ok }) => !ok, () => true);
    throw Object.assign(problem, { isAway });
  }
  if (!response.ok) throw Object.assign(problem, { isAway: isOfProxy(response) });
  const upload = (await answerTo(response, null))?.[0]; // a proxy may answer with a page of its own
  if (!upload) throw problem;
  return { upload };
}

/** Sends a network's weights or labels. Returns the file's name on the server; throws an Error with a sentence. */
export async function sendNetworkFile(file) {
  const url = urlFor("own-network-file", { name: file.name });
  const answer = await answerTo(fetch(url, { method: "POST", body: file }));
  if (answer.problem) throw new Error(answer.problem);
  return answer.file;
}

/** What a file of weights contains and, with `keep`, what the page needs to offer the network; or {problem}. */
export const askOfNetwork = (body) => answerTo(post("own-network", body));

/** What the page needs to offer the networks that were dropped before it was opened; undefined if there are none. */
export async function networksDropped() {
  const { page } = await answerTo(fetch(urlFor("own-networks")), {});
  return page;
}

/** The text for a waiting visitor. position: in the queue, from 1. */
export const queueText = (position) => `You are number ${position} in the queue …`;

/** An object URL for a JPEG that the server has sent as base64. */
export function urlOf(jpeg) {
  return URL.createObjectURL(new Blob([bytesOf(jpeg)], { type: "image/jpeg" }));
}

/** Requests a file that the server makes, as {blob, name}. Throws an Error with a sentence for people; its
 * `again` tells whether another try may help. */
export async function downloadFile(body) {
  let response;
  try {
    response = await post("download", body);
  } catch {
    throw Object.assign(new Error(NO_ANSWER), { again: true });
  }
  if (!response.ok) throw Object.assign(new Error(await problemIn(response)), { again: response.status === 503 });
  const named = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
  return { blob: await response.blob(), name: named?.[1] ?? body.file };
}

async function problemIn(response) {
  const { problem } = await answerTo(response, { problem: "The server could not do this. Try again in a moment." });
  return problem;
}
