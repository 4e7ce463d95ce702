// Creates the parts of the page and connects them: what each may read from the app and do with it.

import { actionsOf } from "./commands/actions.js";
import { h } from "./core/elements.js";
import { ClassSearch } from "./inputs/class_search.js";
import { CoverTool } from "./inputs/cover_tool.js";
import { download } from "./commands/download.js";
import { keysDialog, listenToKeys } from "./commands/keys.js";
import { OwnNetwork } from "./inputs/own_network.js";
import { PageCode } from "./commands/page_code.js";
import { ShareDialog } from "./commands/share.js";
import { Toolbar } from "./commands/toolbar.js";
import { LiveView } from "./live/live_view.js";
import { Comparison } from "./sections/comparison.js";
import { CoverComparison } from "./results/cover_comparison.js";
import { coverText, readCover } from "./results/covers.js";
import { Methods } from "./sections/methods.js";
import { PhotoNotices } from "./results/photo_notices.js";
import { Presentation } from "./results/presentation.js";
import { Results } from "./results/results.js";
import { Steps } from "./sections/steps.js";
import { TrustCheck } from "./sections/trust.js";
import { Toast } from "./toast.js";

/** Creates the app's parts and puts them into `element`. */
export function makeElements(app, element) {
  const page = pageOf(app);
  const grid = h("div", { class: "panels" });
  const notices = makeNotices(app);
  const actions = actionsOf(app);
  app.toolbar = new Toolbar({
    colormaps: app.props.colormaps,
    opacity: app.display.opacity,
    steps: app.props.layers,
    actions,
  });
  app.cover = makeCoverTool(app);
  app.coverComparison = makeCoverComparison(app, page);
  app.comparison = new Comparison({ ...page, colors: page.overlayColors });
  app.methods = new Methods(page);
  app.trust = new TrustCheck(page);
  app.steps = new Steps(page);
  app.keys = keysDialog();
  app.sharing = new ShareDialog();
  app.pageCode = new PageCode();
  app.ownNetwork = new OwnNetwork((name, network) => app.addNetwork(name, network));
  app.classSearch = makeClassSearch(app);
  app.live = makeLiveView(app, page);
  app.toast = new Toast();
  const above = [app.toolbar.headline, app.toolbar.element, app.cover.element, notices.element];
  const below = [app.coverComparison, app.comparison, app.steps, app.trust, app.methods];
  const dialogs = [app.sharing, app.pageCode, app.ownNetwork, app.classSearch, app.live];
  app.root = h("div", { class: "app", tabindex: "-1" }, ...above, grid);
  app.presentation = new Presentation(app.root, grid);
  app.root.append(
    ...below.map((part) => part.element),
    app.keys,
    ...dialogs.map((part) => part.element),
    app.toast.element,
  );
  app.results = makeResults(app, page, grid, notices);
  app.root.style.setProperty("--dimming", app.props.dimming);
  element.append(app.root);
  app.setDisplay({});
  app.toolbar.setExplained(null, null);
  listenToKeys(actions);
}

/** What the parts that show results may read from the app and do with it. */
function pageOf(app) {
  const methodNamed = (method) => app.props.methods.find(({ name }) => name === method);
  const resultOf = (model) => app.results.panels.get(model)?.result;
  const paletteNow = () => app.palettes.get(app.display.colormap);
  const page = {
    colors: (isSigned = false) => {
      const { overlay, heat } = isSigned ? app.signedPalette : paletteNow();
      return app.display.layers === "heat" ? heat : overlay;
    },
    coverHottest: (model) => app.coverHottest(app.cover.fill.value, model),
    choose: (index) => app.change({ target: index }),
    download: (model, file) => download(app, `${model}_${file}`),
    point: (place) => {
      for (const panel of app.results.panels.values()) panel.showPoint(place);
    },
    map: (model) => app.results.panels.get(model)?.map,
    title: (model) => resultOf(model)?.title ?? app.titleOf(model),
    models: () => app.state.models.map((name) => [name, page.title(name)]),
    captions: () =>
      app.state.models
        .map((model) => [resultOf(model)?.caption, app.trust.sentenceOf(model)])
        .filter(([caption]) => caption)
        .map((lines) => lines.filter(Boolean).join("\n")),
    request: () => app.request(),
    mapRequests: () => app.mapRequests(),
    signedColors: () => app.signedPalette.overlay,
    overlayColors: () => paletteNow().overlay,
    methodNow: () => methodNamed(app.map().method),
    hasTokens: (model) => Boolean(resultOf(model)?.tokens),
    settings: () => ({
      ...app.map(),
      methods: app.props.methods,
      details: app.props.details,
      layer: app.state.layer,
    }),
    nameOf: ({ method, detail }) => methodNamed(method).title + (detail > 1 ? `, ${detail} ×` : ""),
    applyMethod: (method, detail) => app.change({ kind: app.props.own, method, detail }),
  };
  return page;
}

function makeCoverTool(app) {
  return new CoverTool({
    ratio: () => app.results.photo.width / app.results.photo.height,
    limits: app.props.coverLimits,
    act: {
      draft: (draft) => app.results?.drawCovers({ draft }),
      cover: (shape, fill) => app.mayCover() && app.change({ covers: [...app.state.covers, coverText(shape, fill)] }),
      hottest: (fill) => app.coverHottest(fill),
      elsewhere: () => app.compareCover(),
      undo: () => app.change({ covers: app.state.covers.slice(0, -1) }),
      clear: () => app.change({ covers: [] }),
      changed: () => {
        app.toolbar.setOpen("cover", app.cover.isOn);
        app.presentation.layOut();
      },
    },
  });
}

function makeCoverComparison(app, page) {
  return new CoverComparison(page, {
    found: (places) => {
      if (!places.length) for (const panel of app.results?.panels.values() ?? []) panel.showElsewhere(null);
      app.results?.drawCovers({ elsewhere: places.map(readCover) });
    },
    result: (model, result) => {
      app.results.panels.get(model)?.showElsewhere(result);
      app.presentation.layOut();
    },
    tell: (text) => app.notify(text),
  });
}

function makeLiveView(app, page) {
  return new LiveView({
    models: page.models,
    view: () => app.state.view,
    colors: page.overlayColors,
    opacity: () => app.display.opacity,
    freeze: (file, target) => app.sequence.add([file], { target }),
  });
}

function makeClassSearch(app) {
  return new ClassSearch({
    none: app.props.ownTop,
    classes: () => app.classes(),
    textOf: (index) => app.props.classes[index],
    choose: (target) => app.change({ target }),
  });
}

function makeNotices(app) {
  return new PhotoNotices({
    photo: () => app.state.photo,
    window: () => app.state.window,
    choose: (window) => app.change({ window }),
  });
}

function makeResults(app, page, grid, notices) {
  const { comparison, methods, steps, trust, presentation, controls, cover } = app;
  return new Results({
    root: app.root,
    grid,
    notices,
    page,
    state: () => app.state,
    parts: { comparison, methods, steps, trust, presentation, controls, cover },
    retry: () => app.again(),
  });
}
