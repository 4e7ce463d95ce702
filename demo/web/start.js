// Starts the page once Gradio has created its controls.

import { App } from "./app.js";
import { elementsFor } from "./dom.js";
import { listenToAddressForm } from "./inputs/address.js";
import { classFieldOf } from "./inputs/class_field.js";
import { improveModels } from "./inputs/models.js";
import { acceptPicturesAnywhere } from "./inputs/pasting.js";
import { listenToSettingsButton, listenToSkipLinks } from "./inputs/settings.js";
import { explainMissingSources } from "./inputs/sources.js";
import { offerLive } from "./live/live_button.js";
import { endLoadingTimer } from "./loading_timer.js";
import { networksDropped } from "./requests.js";
import { listenToFullScreen } from "./results/panel.js";
import { CLASS_FIELDS } from "./state.js";

/** element: the page's parent. props: from demo/ui/page_data.py. trigger: Gradio's function of the component that
 * contains the page. */
export async function start({ element, props, trigger }) {
  const arriving = props.takesNetworks ? networksDropped() : undefined;
  await elementsFor("#photo", ".photo-note", "#models", ...CLASS_FIELDS.map(classFieldOf));
  const dropped = await arriving;
  const app = new App({ element, props, trigger: () => trigger("input") });
  acceptPicturesAnywhere({
    suffixes: props.pictureSuffixes,
    limitMb: props.uploadLimitMb,
    hasAddresses: props.hasAddresses,
    choose: (address) => app.choosePhoto({ address }),
    chooseAll: (files) => app.sequence.add(files),
    takeNetwork: (weights, labels) => app.ownNetwork.take(weights, labels),
    tell: (text) => app.notify(text),
  });
  explainMissingSources(document.querySelector(".photo-note"));
  if (props.isLive) offerLive(() => app.openLive());
  improveModels();
  listenToAddressForm((address) => app.choosePhoto({ address }));
  listenToFullScreen();
  listenToSettingsButton();
  listenToSkipLinks();
  window.addEventListener("online", () => app.awayMs && app.again());
  window.gradcam = { controls: () => app.controls.values() };
  window.addEventListener("control-change", ({ detail: [name, value] }) => app.controls.receive(name, value));
  if (dropped) app.offerNetworks(dropped);
  app.start(location.href);
  for (const [name, value] of window.earlyChanges ?? []) app.controls.receive(name, value);
  endLoadingTimer();
  element.dataset.ready = "true";
}
