// The parts of the page, made and connected: what each may read from the app and do with it.

import { h } from "./core/elements.js";
import { ClassSearch } from "./inputs/class_search.js";
import { CoverTool } from "./inputs/cover.js";
import { keysDialog } from "./inputs/keys.js";
import { OwnNetwork } from "./inputs/own_network.js";
import { PageCode } from "./inputs/page_code.js";
import { ShareDialog } from "./inputs/share.js";
import { Toolbar } from "./inputs/toolbar.js";
import { LiveView } from "./live/live_view.js";
import { Comparison } from "./results/comparison.js";
import { CoverComparison } from "./results/cover_compare.js";
import { coverText, readCover } from "./results/covers.js";
import { Insight } from "./results/insight.js";
import { PhotoNotices } from "./results/photo_notices.js";
import { Presentation } from "./results/presentation.js";
import { Results } from "./results/results.js";
import { Steps } from "./results/steps.js";
import { TrustCheck } from "./results/trust.js";

/** Gives the app its parts and puts them into `element`. */
export function makeElements(app, element) {
  const page = {
    colors: (isSigned = false) => {
      const { overlay, heat } = isSigned ? app.signedPalette : app.palettes.get(app.display.colormap);
      return app.display.layers === "heat" ? heat : overlay;
    },
    coverHottest: (model) => app.coverHottest(app.cover.fill.value, model),
    choose: (index) => app.change({ target: index }),
    download: (model, file) => app.download(`${model}_${file}`),
    point: (place) => {
      for (const panel of app.results.panels.values()) panel.showPoint(place);
    },
    map: (model) => app.results.panels.get(model)?.map,
    title: (model) => app.results.panels.get(model)?.result?.title ?? app.titleOf(model),
    models: () => app.state.models.map((name) => [name, page.title(name)]),
    captions: () =>
      app.state.models
        .map((model) => [app.results.panels.get(model)?.result?.caption, app.trust.sentenceOf(model)])
        .filter(([caption]) => caption)
        .map((lines) => lines.filter(Boolean).join("\n")),
    request: () => app.request(),
    cells: () => app.cells(),
    signedColors: () => app.signedPalette.overlay,
    overlayColors: () => app.palettes.get(app.display.colormap).overlay,
    methodNow: () => app.props.methods.find(({ name }) => name === app.map().method),
    hasTokens: (model) => Boolean(app.results.panels.get(model)?.result?.tokens),
    settings: () => ({
      ...app.map(),
      methods: app.props.methods,
      details: app.props.details,
      layer: app.state.layer,
    }),
    nameOf: ({ method, detail }) =>
      app.props.methods.find(({ name }) => name === method).title + (detail > 1 ? `, ${detail} ×` : ""),
    applyMethod: (method, detail) => app.change({ kind: app.props.own, method, detail }),
  };
  app.toolbar = new Toolbar({
    colormaps: app.props.colormaps,
    opacity: app.display.opacity,
    steps: app.props.layers,
    act: {
      setDisplay: (changes) => app.setDisplay(changes),
      setLayer: (layer) => app.change({ layer }),
      setSigned: (signed) => app.change({ signed }),
      toggleSteps: () => app.toolbar.setStepsOpen(app.steps.toggle()),
      toggleMethods: () => app.toolbar.setMethodsOpen(app.comparison.toggle()),
      cover: () => app.toggleCover(),
      check: () => app.toolbar.setChecking(app.trust.toggle()),
      download: (file, theme) => app.download(file, theme),
      share: () => app.share(),
      present: () => app.presentation.toggle(),
      showKeys: () => app.keys.showModal(),
    },
  });
  app.cover = new CoverTool({
    ratio: () => app.results.photo.width / app.results.photo.height,
    act: {
      draft: (draft) => app.results?.drawCovers({ draft }),
      cover: (shape, fill) => app.change({ covers: [...app.state.covers, coverText(shape, fill)] }),
      hottest: (fill) => app.coverHottest(fill),
      elsewhere: () => app.compareCover(),
      undo: () => app.change({ covers: app.state.covers.slice(0, -1) }),
      clear: () => app.change({ covers: [] }),
      changed: () => {
        app.toolbar.setCovering(app.cover.isOn);
        app.presentation.layOut();
      },
    },
  });
  app.coverComparison = new CoverComparison(page, {
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
  const grid = h("div", { class: "panels" });
  app.notice = h("p", { class: "toast", role: "status" });
  app.insight = new Insight({ ...page, colors: () => app.palettes.get(app.display.colormap).overlay });
  app.comparison = new Comparison(page);
  app.trust = new TrustCheck(page);
  app.steps = new Steps(page);
  app.keys = keysDialog();
  app.sharing = new ShareDialog();
  app.pageCode = new PageCode();
  app.ownNetwork = new OwnNetwork((name, page) => app.addNetwork(name, page));
  app.live = new LiveView({
    models: page.models,
    view: () => app.state.view,
    colors: () => app.palettes.get(app.display.colormap).overlay,
    opacity: () => app.display.opacity,
    freeze: (file, pinned) => app.takeFrozen(file, pinned),
  });
  app.classSearch = new ClassSearch({
    none: app.props.ownTop,
    classes: () => app.classes(),
    textOf: (index) => app.props.classes[index],
    choose: (target) => app.change({ target }),
  });
  const notices = new PhotoNotices({
    photo: () => app.state.photo,
    window: () => app.state.window,
    choose: (window) => app.change({ window }),
  });
  const parts = [app.toolbar.headline, app.toolbar.element, app.cover.element, notices.element, grid];
  app.root = h("div", { class: "app", tabindex: "-1" }, ...parts);
  app.presentation = new Presentation(app.root, grid);
  app.root.append(
    app.coverComparison.element,
    app.insight.element,
    app.steps.element,
    app.trust.element,
    app.comparison.element,
    app.keys,
    app.sharing.element,
    app.pageCode.element,
    app.ownNetwork.element,
    app.classSearch.element,
    app.live.element,
    app.notice,
  );
  const { insight, comparison, steps, trust, presentation, controls, cover } = app;
  app.results = new Results({
    root: app.root,
    grid,
    notices,
    page,
    state: () => app.state,
    parts: { insight, comparison, steps, trust, presentation, controls, cover },
    retry: () => app.refresh(),
  });
  app.root.style.setProperty("--dimming", app.props.dimming);
  element.append(app.root);
  app.setDisplay({});
  app.toolbar.setExplained(null, null);
}
