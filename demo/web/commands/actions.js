// The actions of the toolbar's buttons (`toolbar.js`) and of the keys (`keys.js`).

import { download } from "./download.js";
import { closeOpened } from "../inputs/settings.js";
import { leaveFullScreen } from "../results/panel.js";

export function actionsOf(app) {
  const other = (name, value) => (app.state[name] === value ? app.defaults[name] : value);
  return {
    setDisplay: (changes) => app.setDisplay(changes),
    setLayer: (layer) => app.change({ layer }),
    setSigned: (signed) => app.change({ signed }),
    toggleSigned: () => {
      if (app.canBeSigned()) app.change({ signed: !app.isSigned() });
    },
    choose: (i) => {
      const prediction = focusedPanel(app)?.result?.top[i];
      if (prediction) app.change({ target: prediction.index });
    },
    toggleOverlay: () => app.setDisplay({ layers: app.display.layers === "overlay" ? "photo" : "overlay" }),
    fullScreen: () => focusedPanel(app)?.toggleFullScreen(),
    cover: (withKeys) => {
      makeRoom(app, app.cover.isOn);
      app.toggleCover(withKeys);
    },
    steps: () => {
      makeRoom(app, app.steps.isOpen);
      if (app.state.photo) toggleSteps(app);
    },
    check: () => {
      makeRoom(app, app.trust.isOpen);
      if (app.state.photo) toggleTrust(app);
    },
    methods: () => app.toolbar.setOpen("methods", app.methods.toggle()),
    live: () => app.openLive(),
    search: () => app.searchClass(),
    sharp: () => app.change({ kind: other("kind", "sharp") }),
    whole: () => app.change({ view: other("view", "whole") }),
    download: (file, theme) => download(app, file, theme),
    share: () => app.share(),
    code: () => app.showCode(),
    present: () => app.presentation.toggle(),
    photo: () => app.presentation.togglePhoto(),
    help: () => app.keys.showModal(),
    leave: () => {
      leave(app);
      return false;
    },
    step: (by) => {
      if (!app.presentation.isOn) return false;
      if (app.steps.isOpen) app.steps.walk(by);
      else app.sequence.step(by);
      return true;
    },
  };
}

function focusedPanel(app) {
  const covering = document.querySelector(".panel.covering");
  const element = covering ?? document.activeElement?.closest(".panel[data-model]");
  return app.results.panels.get(element?.dataset.model ?? app.state.models[0]);
}

const toggleSteps = (app) => app.toolbar.setOpen("steps", app.steps.toggle());
const toggleTrust = (app) => app.toolbar.setOpen("check", app.trust.toggle());

/** Closes the innermost open part: the cover tool, a full screen, a sheet, the presentation, or any other part. */
function leave(app) {
  if (app.cover.isOn) app.cover.toggle(false);
  else if (leaveFullScreen() || (app.presentation.isOn && closeSheet(app))) return;
  else if (!app.presentation.leave()) closeOpened();
}

/** Closes what lies over the maps, because a presentation shows one sheet at a time. isOpen: whether the part that
 * the caller toggles is open, so that the toggle itself closes it. */
function makeRoom(app, isOpen) {
  if (!isOpen) leaveFullScreen();
  if (!app.presentation.isOn || isOpen) return;
  if (app.cover.isOn) app.cover.toggle(false);
  while (closeSheet(app));
}

/** Closes the sheet that covers the maps of a presentation; returns whether there was one. */
function closeSheet(app) {
  if (app.steps.isOpen) toggleSteps(app);
  else if (app.trust.isOpen) toggleTrust(app);
  else return false;
  app.root.focus({ preventScroll: true });
  return true;
}
