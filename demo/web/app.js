// The page: what is chosen, what is shown of it, and the way between them and the server.

import { h } from "./core/elements.js";
import { palette } from "./core/heat.js";
import { takePicturesAnywhere } from "./drop.js";
import { Comparison } from "./comparison.js";
import { Insight } from "./insight.js";
import { keysDialog, listen } from "./keys.js";
import { linkTo, readLink } from "./link.js";
import { addressOf, look, take } from "./look.js";
import { improveModels } from "./models.js";
import { Panel, uncover } from "./panel.js";
import { Presentation } from "./presentation.js";
import { ShareDialog } from "./share.js";
import { Toolbar } from "./toolbar.js";
import { TrustCheck } from "./trust.js";

const OURS = "shown from here: "; // begins the path of a file that Gradio's photo control is given
const NONE = -1; // in a class selector: each network's own top prediction, or no other class

const UPLOADED = "The photo was uploaded: the link cannot carry it. Who opens it chooses a photo first.";
const SAME = "Whoever opens it sees the same picture, networks, class and map.";
const NOTHING = "No photo is chosen yet: the link carries the other choices.";

class App {
  /** element: where the page goes. props: what demo/ui/layout.py knows. tell(): Gradio's controls ask for
   * `controls()`. */
  constructor({ element, props, tell }) {
    this.props = props;
    this.tell = tell;
    this.defaults = { photo: null, target: null, against: null, depth: 1, ...props.defaults };
    this.state = { ...this.defaults };
    this.display = { shown: "overlay", opacity: props.opacity, colormap: props.colormaps[0][0] };
    this.palettes = new Map(
      props.colormaps.map(([name, , colors]) => [
        name,
        { overlay: palette(colors.flat(), false), heat: palette(colors.flat(), true) },
      ]),
    );
    this.panels = new Map();
    this.photo = null; // as it is shown
    // What Gradio's controls show, as JSON. The models tell of themselves once they are made.
    this.known = { models: JSON.stringify(props.defaults.models) };
    this.held = []; // answers that came before their photo
    this.makeElements(element);
    this.showMessage(props.hint);
    this.followExamples();
    this.listenToKeys();
  }

  makeElements(element) {
    const page = {
      colors: () => {
        const { overlay, heat } = this.palettes.get(this.display.colormap);
        return this.display.shown === "heat" ? heat : overlay;
      },
      choose: (index) => this.change({ target: index }),
      download: (model, what) => this.download(`${model}_${what}`),
      point: (place) => {
        for (const panel of this.panels.values()) panel.showPoint(place);
      },
      map: (model) => this.panels.get(model)?.map,
      title: (model) => this.panels.get(model)?.result?.title ?? this.titleOf(model),
      models: () => this.state.models.map((name) => [name, page.title(name)]),
      request: () => this.request(),
      cells: () => this.cells(),
      comparable: () => ({
        ...this.map(),
        methods: this.props.methods,
        details: this.props.details,
        depth: this.state.depth,
      }),
      nameOf: ({ method, detail }) =>
        this.props.methods.find(({ name }) => name === method).title + (detail > 1 ? `, ${detail} ×` : ""),
      pick: (method, detail) => this.change({ kind: this.props.own, method, detail }),
    };
    this.page = page;
    this.toolbar = new Toolbar({
      colormaps: this.props.colormaps,
      opacity: this.display.opacity,
      depths: this.props.depths,
      act: {
        setDisplay: (changes) => this.setDisplay(changes),
        setDepth: (depth) => this.change({ depth }),
        compare: () => this.compare(),
        check: () => this.checkTrust(),
        download: (name, theme) => this.download(name, theme),
        share: () => this.share(),
        present: () => this.presentation.toggle(),
        showKeys: () => this.keys.showModal(),
      },
    });
    this.grid = h("div", { class: "panels" });
    this.said = h("p", { class: "toast", role: "status" });
    this.insight = new Insight({ ...page, colors: () => this.palettes.get(this.display.colormap).overlay });
    this.comparison = new Comparison(page);
    this.trust = new TrustCheck(page);
    this.keys = keysDialog();
    this.sharing = new ShareDialog();
    this.root = h("div", { class: "app", tabindex: "-1" }, this.toolbar.headline, this.toolbar.element, this.grid);
    this.presentation = new Presentation(this.root, this.grid);
    this.root.append(
      this.insight.element,
      this.trust.element,
      this.comparison.element,
      this.keys,
      this.sharing.element,
      this.said,
    );
    this.root.style.setProperty("--dimming", this.props.dimming);
    element.append(this.root);
    this.setDisplay({});
    this.toolbar.setExplained(null, null);
  }

  start(address) {
    const given = this.checked(readLink(address));
    this.change(given, { isStart: true });
    this.tell();
  }

  /** Only what this page knows, of what a link says. */
  checked(given) {
    const { models, methods, details, kinds, views, examples, classes } = this.props;
    const isClass = (index) => Number.isInteger(index) && index >= 0 && index < classes.length;
    const known = {
      photo: ({ example, address }) =>
        address ? /^https?:\/\//i.test(address) : examples.some(({ name }) => name === example),
      models: (names) => names.length && names.every((name) => models.some((model) => model.name === name)),
      target: isClass,
      against: isClass,
      detail: (times) => details.includes(times),
      depth: (share) => share >= 0 && share <= 1,
      view: (name) => views.includes(name),
      kind: (name) => Object.hasOwn(kinds, name),
      method: (name) => methods.some((method) => method.name === name),
      rivals: () => true,
    };
    return Object.fromEntries(Object.entries(given).filter(([key, value]) => known[key](value)));
  }

  nameOf(index) {
    return index === null ? null : (this.props.names[index] ?? this.props.classes[index].split(",")[0]);
  }

  titleOf(model) {
    return this.props.models.find(({ name }) => name === model)?.title ?? model;
  }

  /** Takes over what has changed, and shows it. */
  change(changes, { isStart = false, isFromControl = false } = {}) {
    const before = this.state;
    const after = { ...before, ...changes };
    after.models = this.props.models.map(({ name }) => name).filter((name) => after.models.includes(name));
    const isNewPhoto = JSON.stringify(after.photo) !== JSON.stringify(before.photo);
    // Another picture: each network's own top prediction is explained first.
    if (isNewPhoto && before.photo) after.target = after.against = null;
    // No class is explained rather than itself: what was chosen last counts.
    if (after.target !== null && after.target === after.against) {
      after[after.target === before.target ? "target" : "against"] = null;
    }
    if (JSON.stringify(after) === JSON.stringify(before)) return;
    this.state = after;
    document.body.dataset.kind = after.kind;
    if (isNewPhoto) this.hidePreview(Boolean(after.photo?.upload));
    this.toolbar.setDepth(after.depth);
    this.toolbar.setExplained(this.nameOf(after.target), this.nameOf(after.against));
    this.markExample();
    if (!isFromControl || isNewPhoto) this.tell();
    if (!isStart || after.photo) history.replaceState(history.state, "", this.link());
    this.refresh();
  }

  link() {
    return linkTo(location.href, this.state, this.defaults);
  }

  /** Method, detail and rivals of the maps, from what was chosen. */
  map() {
    const { kind, method, detail, rivals } = this.state;
    const preset = this.props.kinds[kind];
    return preset ? { ...preset, rivals: false } : { method, detail, rivals };
  }

  request() {
    const { photo, view, target, against } = this.state;
    const may_fetch = !this.presentation.isOn; // no picture comes from the web before an audience
    return { ...photo, may_fetch, view, target, against, has_photo: this.photo?.id ?? "" };
  }

  cells() {
    const map = this.map();
    return this.state.models.map((model) => ({ id: model, model, ...map, depth: this.state.depth }));
  }

  refresh() {
    this.running?.abort();
    this.held = [];
    const { photo, models } = this.state;
    if (!photo || !models.length) {
      this.comparison.stop();
      this.trust.stop();
      this.showMessage(photo ? this.props.noModel : this.props.hint);
      return;
    }
    for (const panel of this.panels.values()) panel.giveUp();
    this.running = new AbortController();
    const body = { ...this.request(), cells: this.cells(), compare: true };
    look(body, (answer) => this.take(answer), this.running.signal);
  }

  take(answer) {
    if (answer.problem) {
      this.running.abort();
      this.showMessage(answer.problem, true, answer.again !== undefined);
      return;
    }
    if (answer.waiting) {
      this.showPlace(answer.waiting);
      return;
    }
    if (answer.id) this.awaited = answer.id;
    if (answer.photo) this.showPhoto(answer.photo);
    if (this.photo?.id !== this.awaited) {
      this.held.push(answer);
      return;
    }
    if (answer.id) this.showPanels();
    this.showAnswer(answer);
  }

  /** Takes the photo over once the browser has decoded it: until then it would go on showing the one
   * before, under a heat that is not its own. */
  async showPhoto({ jpeg, ...photo }) {
    const { running } = this;
    const url = addressOf(jpeg);
    const image = new Image();
    image.src = url;
    await image.decode();
    if (this.running !== running) {
      URL.revokeObjectURL(url); // something newer was asked for
      return;
    }
    const before = this.photo?.url;
    this.photo = { ...photo, url };
    if (before) setTimeout(() => URL.revokeObjectURL(before), 10_000);
    this.insight.setPhoto(this.photo);
    this.presentation.setPhoto(this.photo);
    this.comparison.setPhoto(this.photo);
    this.showPanels();
    for (const answer of this.held.splice(0)) this.showAnswer(answer);
  }

  showAnswer({ cell, network, status, failed, result, insight }) {
    const panel = this.panels.get(cell);
    if (panel && network) panel.showNetwork(network);
    if (panel && status) panel.showStatus(status);
    if (panel && failed) panel.showFailure(failed);
    if (panel && result) {
      panel.showResult(result);
      this.presentation.layOut();
      this.tellClasses();
    }
    if (insight) this.insight.show(insight);
  }

  showPanels() {
    const { models } = this.state;
    this.grid.querySelector(":scope > .message")?.remove();
    this.root.classList.remove("without-photo");
    if (!this.state.photo.example) this.tell();
    this.hidePreview(false);
    for (const [model, panel] of this.panels) {
      if (models.includes(model)) continue;
      panel.element.remove();
      this.panels.delete(model);
    }
    for (const model of models) {
      if (!this.panels.has(model)) {
        this.panels.set(model, new Panel(model, this.titleOf(model), this.page));
      }
      this.panels.get(model).setPhoto(this.photo);
    }
    const order = [this.presentation.tile, ...models.map((model) => this.panels.get(model).element)];
    if (order.some((child, i) => this.grid.children[i] !== child)) this.grid.append(...order);
    this.root.style.setProperty("--count", models.length);
    this.presentation.layOut();
    this.comparison.refresh();
    this.trust.refresh();
  }

  /** How many visitors with a new photo are served before. */
  showPlace(count) {
    const text = count === 1 ? "1 visitor is before you …" : `${count} visitors are before you …`;
    if (this.panels.size) for (const panel of this.panels.values()) panel.showStatus(text);
    else this.showMessage(text);
  }

  showMessage(text, isProblem = false, mayTryAgain = false) {
    this.panels.clear();
    this.photo = null;
    this.awaited = undefined;
    this.root.classList.add("without-photo");
    this.hidePreview(false);
    const message = h("p", { class: isProblem ? "message problem" : "message" }, text);
    message.setAttribute("role", isProblem ? "alert" : "status");
    if (mayTryAgain) {
      const again = () => this.refresh();
      message.append(h("button", { type: "button", class: "action", onclick: again }, "Try again"));
    }
    this.grid.replaceChildren(message);
  }

  setDisplay(changes) {
    Object.assign(this.display, changes);
    this.root.style.setProperty("--opacity", this.display.shown === "overlay" ? this.display.opacity : 1);
    this.root.dataset.shown = this.display.shown;
    this.toolbar.setShown(this.display.shown);
    if (!changes.colormap && !changes.shown) return;
    for (const panel of this.panels.values()) panel.layers.recolor();
    this.insight.recolor();
    this.comparison.recolor();
  }

  compare() {
    this.comparison.toggle();
    this.toolbar.setComparing(this.comparison.isOpen);
  }

  checkTrust() {
    this.trust.toggle();
    this.toolbar.setChecking(this.trust.isOpen);
  }

  async download(file, theme = "light") {
    if (!this.state.photo) return;
    this.say("Making the file …");
    const { colormap, opacity } = this.display;
    try {
      const body = { ...this.request(), cells: this.cells(), file, theme, colormap, opacity };
      const { blob, name } = await take(body);
      const link = h("a", { href: URL.createObjectURL(blob), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      this.say("");
    } catch (error) {
      const again = () => this.download(file, theme);
      this.say(error.message, error.again && h("button", { type: "button", class: "action", onclick: again }, "Try again"));
    }
  }

  say(text, button = "") {
    this.said.replaceChildren(text, button || "");
    clearTimeout(this.saying);
    if (text) this.saying = setTimeout(() => this.say(""), 8000);
  }

  share() {
    const { photo } = this.state;
    this.sharing.show(this.link(), !photo ? NOTHING : photo.upload ? UPLOADED : SAME);
  }

  // Gradio's controls

  /** One of Gradio's controls says what a person chose. */
  takeControl(name, value) {
    if (name === "models" && this.known.models === JSON.stringify(value)) return;
    this.known[name] = JSON.stringify(value);
    if (name !== "photo") {
      const isNone = value === null || ((name === "target" || name === "against") && value === NONE);
      this.change({ [name]: isNone ? null : value }, { isFromControl: true });
      return;
    }
    // Set from here, and this may tell of one that has been replaced since.
    if (value?.path.startsWith(OURS)) return;
    this.change({ photo: value && { upload: value.path } }, { isFromControl: true });
  }

  /** The browser is spared the photo as it was taken, of many megapixels: its preview waits for the
   * one that the panels show. */
  hidePreview(isHidden) {
    document.body.classList.toggle("without-preview", isHidden);
  }

  /** What Gradio's controls are to show, in the order of `props.controls`; undefined is what they
   * show already. */
  controls() {
    const { photo, target, against } = this.state;
    const wanted = {
      ...this.state,
      photo: this.fileOf(photo ?? {}),
      target: this.selector(target, this.props.ownTop),
      against: this.selector(against, this.props.noOther),
    };
    return this.props.controls.map((name) => {
      const said = JSON.stringify(wanted[name]);
      if (said === this.known[name]) return undefined;
      // Told now, its list would close on the person who chooses from it.
      if (document.querySelector(`#${name} input[aria-expanded="true"]`)) {
        this.tellSoon();
        return undefined;
      }
      this.known[name] = said;
      return wanted[name];
    });
  }

  /** A photo as Gradio's control wants to be told of it. */
  fileOf({ example, address, upload }) {
    const name = `${example ?? "picture"}.jpg`;
    const isShown = (address || upload) && this.photo && this.awaited === this.photo.id;
    if (!example && !isShown) return undefined;
    const url = example ? new URL(`examples/${name}`, new URL("./", location.href)).href : this.photo.url;
    const meta = { _type: "gradio.FileData" };
    return { path: OURS + name, url, orig_name: name, mime_type: "image/jpeg", meta };
  }

  selector(value, first) {
    const choices = [[first, NONE], ...this.classes().map((index) => [this.props.classes[index], index])];
    return { __type__: "update", choices, value: value ?? NONE };
  }

  /** All classes, those that the networks named for this photo first, the most probable on top. */
  classes() {
    const tops = [...this.panels.values()].flatMap((panel) => panel.result?.top ?? []);
    tops.sort((a, b) => b.probability - a.probability);
    return [...new Set([...tops.map(({ index }) => index), ...this.props.alphabetical])];
  }

  /** Has the selectors list the classes anew, if other ones come first now. */
  tellClasses() {
    const first = JSON.stringify(this.classes().slice(0, 40));
    if (first === this.told) return;
    this.told = first;
    this.tellSoon();
  }

  tellSoon() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.tell(), 100);
  }

  // Examples and keys

  followExamples() {
    document.addEventListener("click", (event) => {
      const chosen = event.target.closest?.("[data-example]");
      if (chosen) this.change({ photo: { example: chosen.dataset.example } });
      if (event.target.closest?.("[data-unfolds]")) this.toggleSettings();
    });
    document.addEventListener("submit", (event) => {
      const form = event.target.closest?.("[data-address]");
      if (!form) return;
      event.preventDefault();
      const address = new FormData(form).get("picture").trim();
      if (!address || this.presentation.isOn) return;
      // The same once more, because it could not be fetched before.
      if (address === this.state.photo?.address && !this.photo) this.refresh();
      else this.change({ photo: { address } });
    });
  }

  toggleSettings() {
    const isOpen = document.body.classList.toggle("settings-open");
    document.querySelector("[data-unfolds]").setAttribute("aria-expanded", String(isOpen));
  }

  markExample() {
    for (const button of document.querySelectorAll("[data-example]")) {
      const isChosen = button.dataset.example === this.state.photo?.example;
      button.setAttribute("aria-pressed", String(isChosen));
    }
  }

  stepExample(by) {
    const names = this.props.examples.map(({ name }) => name);
    const at = names.indexOf(this.state.photo?.example);
    const next = at < 0 ? (by > 0 ? 0 : names.length - 1) : (at + by + names.length) % names.length;
    this.change({ photo: { example: names[next] } });
  }

  focused() {
    const covering = document.querySelector(".panel.covering");
    const element = covering ?? document.activeElement?.closest(".panel[data-model]");
    return this.panels.get(element?.dataset.model ?? this.state.models[0]);
  }

  listenToKeys() {
    listen({
      choose: (i) => {
        const prediction = this.focused()?.result?.top[i];
        if (prediction) this.change({ target: prediction.index });
      },
      toggleOverlay: () =>
        this.setDisplay({ shown: this.display.shown === "overlay" ? "photo" : "overlay" }),
      fullScreen: () => this.focused()?.toggleFullScreen(),
      present: () => this.presentation.toggle(),
      help: () => this.keys.showModal(),
      leave: () => {
        uncover();
        this.presentation.leave();
        return false;
      },
      step: (by) => {
        if (this.presentation.isOn) this.stepExample(by);
        return this.presentation.isOn;
      },
    });
  }
}

/** Starts the page in `element`. trigger: Gradio's, of the component that the page is in. */
export function start({ element, props, trigger }) {
  const app = new App({ element, props, tell: () => trigger("input") });
  takePicturesAnywhere();
  improveModels();
  window.gradcam = { controls: () => app.controls() };
  window.addEventListener("chosen", ({ detail: [name, value] }) => app.takeControl(name, value));
  app.start(location.href);
  for (const [name, value] of window.chosenBefore ?? []) app.takeControl(name, value);
  element.dataset.ready = "true";
}
