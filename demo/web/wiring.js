// The parts of the page, made and connected: what each may read from the app and do with it.

import { h } from "./core/elements.js";
import { keysDialog } from "./inputs/keys.js";
import { ShareDialog } from "./inputs/share.js";
import { Toolbar } from "./inputs/toolbar.js";
import { Comparison } from "./results/comparison.js";
import { Insight } from "./results/insight.js";
import { PhotoNotices } from "./results/photo_notices.js";
import { Presentation } from "./results/presentation.js";
import { Results } from "./results/results.js";
import { TrustCheck } from "./results/trust.js";

/** Gives the app its parts and puts them into `element`. */
export function makeElements(app, element) {
  const page = {
    colors: () => {
      const { overlay, heat } = app.palettes.get(app.display.colormap);
      return app.display.layers === "heat" ? heat : overlay;
    },
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
      compare: () => app.toolbar.setComparing(app.comparison.toggle()),
      check: () => app.toolbar.setChecking(app.trust.toggle()),
      download: (file, theme) => app.download(file, theme),
      share: () => app.share(),
      present: () => app.presentation.toggle(),
      showKeys: () => app.keys.showModal(),
    },
  });
  const grid = h("div", { class: "panels" });
  app.notice = h("p", { class: "toast", role: "status" });
  app.insight = new Insight({ ...page, colors: () => app.palettes.get(app.display.colormap).overlay });
  app.comparison = new Comparison(page);
  app.trust = new TrustCheck(page);
  app.keys = keysDialog();
  app.sharing = new ShareDialog();
  const notices = new PhotoNotices({
    window: () => app.state.window,
    choose: (window) => app.change({ window }),
  });
  const parts = [app.toolbar.headline, app.toolbar.element, notices.element, grid];
  app.root = h("div", { class: "app", tabindex: "-1" }, ...parts);
  app.presentation = new Presentation(app.root, grid);
  app.root.append(
    app.insight.element,
    app.trust.element,
    app.comparison.element,
    app.keys,
    app.sharing.element,
    app.notice,
  );
  const { insight, comparison, trust, presentation, controls } = app;
  app.results = new Results({
    root: app.root,
    grid,
    notices,
    page,
    state: () => app.state,
    parts: { insight, comparison, trust, presentation, controls },
    retry: () => app.refresh(),
  });
  app.root.style.setProperty("--dimming", app.props.dimming);
  element.append(app.root);
  app.setDisplay({});
  app.toolbar.setExplained(null, null);
}
