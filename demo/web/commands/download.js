// A file of what is shown, which the server makes.

import { h } from "../core/elements.js";
import { downloadFile } from "../requests.js";

const URL_KEPT_MS = 60_000; // for the browser to save a file

/** file: its name, see demo/server/requests.py. */
export async function download(app, file, theme = "light") {
  if (!app.state.photo) return;
  app.notify("Making the file …");
  const { colormap, opacity } = app.display;
  try {
    const body = { ...app.request(), maps: app.mapRequests(), file, theme, colormap, opacity };
    const { blob, name } = await downloadFile(body);
    const link = h("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), URL_KEPT_MS);
    app.notify("");
  } catch (error) {
    app.notify(error.message, error.again && (() => download(app, file, theme)));
  }
}
