// The button that opens the live view, beside Gradio's camera button.

import { h } from "../core/elements.js";
import { icon } from "../dom.js";

const BESIDE = "#photo .source-selection";

/** open(): opens the live view. */
export function offerLive(open) {
  const label = "Live: what the networks see through the camera (l)";
  const attributes = { type: "button", class: "live-button", title: label, "aria-label": "Live", onclick: open };
  const button = h("button", attributes, icon("live"), h("span", {}, "Live"));
  // Gradio recreates the parent element whenever it shows another source.
  const place = () => {
    const sources = document.querySelector(BESIDE);
    if (sources && button.parentElement !== sources) sources.append(button);
  };
  new MutationObserver(place).observe(document.querySelector("#photo"), { childList: true, subtree: true });
  place();
}
