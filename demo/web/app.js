// The page: its state, its parts, and its requests to the server.

// The server mounts gradcam_core/web, which the page shares with the batch report, as core/.
import { palette } from "./core/heat.js";
import { ClassField, classFieldOf } from "./inputs/class_field.js";
import { Controls } from "./inputs/controls.js";
import { Examples } from "./inputs/examples.js";
import { Sequence } from "./commands/sequence.js";
import { noteOnLink } from "./commands/share.js";
import { lackingOf, linkTo, readLink } from "./link.js";
import { streamExplanations, uploadFile } from "./requests.js";
import { canBeSigned, CLASS_FIELDS, contrastInEffect, defaultState, isOwn, isSame, isSigned, mapRequests, mapSettings, nextState } from "./state.js";
import { makeElements } from "./wiring.js";

const SENDING_DELAY_MS = 800; // a file that is sent sooner needs no message
const RETURN_MS = 3000; // until the first retry if the server does not answer; doubled each time
const LONGEST_RETURN_MS = 60_000;

const AWAY = "The server does not answer. Trying again …";
const NOT_WHILE_PRESENTING = "No picture is fetched from the web during a presentation.";

export class App {
  /** element: the page's parent. props: from demo/ui/page_data.py. trigger(): makes Gradio call
   * `controls.values()`. */
  constructor({ element, props, trigger }) {
    this.props = props;
    this.defaults = defaultState(props.defaults);
    this.state = { ...this.defaults };
    this.display = { layers: "overlay", opacity: props.opacity, colormap: props.colormaps[0][0] };
    this.palettes = new Map(
      props.colormaps.map(([name, , colors]) => [
        name,
        { overlay: palette(colors.flat(), false), heat: palette(colors.flat(), true) },
      ]),
    );
    const signed = props.signedColors.flat();
    this.signedPalette = { overlay: palette(signed, false), heat: palette(signed, true) };
    this.controls = new Controls({
      props,
      trigger,
      change: (changes) => this.change(changes, { isFromControl: true }),
      view: () => ({
        state: this.state,
        photo: this.results.photo,
        isCurrent: this.results.isCurrent,
      }),
    });
    this.examples = new Examples(props.examples, (photo) => this.choosePhoto(photo), (by) => this.sequence.step(by));
    this.sequence = new Sequence({
      slides: props.talk,
      examples: props.examples,
      // A slide says all that differs from the defaults; one's own photo is shown as the slide before it.
      show: (state) => {
        // Sent again, a file may have the same name on the server as before.
        const isBack = this.awayMs && isSame(state.photo, this.state.photo);
        this.change(this.sequence.isTalk && !state.photo.upload ? { ...this.defaults, ...state } : state);
        if (isBack) this.refresh();
      },
      upload: (file) => this.upload(file),
      tell: (text) => this.notify(text),
    });
    makeElements(this, element);
    this.fields = [this.classField("target", props.ownTop), this.classField("contrast", props.noOther)];
    this.results.showMessage(props.hint);
  }

  /** The field that shows and changes a class in the state. name: "target" or "contrast". none: its text without a class. */
  classField(name, none) {
    return new ClassField({
      element: document.querySelector(classFieldOf(name)),
      none,
      classes: () => this.classes(),
      textOf: (index) => this.props.classes[index],
      choose: (index) => this.change({ [name]: index }),
    });
  }

  /** All classes: those that the networks named for this photo first, the most probable on top. */
  classes() {
    const predictions = this.results.predictions.sort((a, b) => b.probability - a.probability);
    return [...new Set([...predictions.map(({ index }) => index), ...this.props.alphabetical])];
  }

  /** Opens the page. If the link names no photo, it opens with an example, which its address does not name. */
  start(address) {
    const given = readLink(address, this.props);
    const lacking = lackingOf(address, given);
    if (lacking.length) this.notify(`The link asks for things that cannot be shown here: ${lacking.join(", ")}.`);
    this.isOpening = !given.photo;
    const [slide] = this.props.talk ?? [];
    const opening = slide ? { ...slide.state } : { photo: { example: this.props.opening } };
    const shown = given.photo ? given : { ...opening, ...given };
    this.change(shown, { isStart: true, preview: this.examples.of(shown.photo) });
    this.controls.update();
  }

  nameOf(index) {
    return index === null ? null : (this.props.names[index] ?? this.props.classes[index].split(",")[0]);
  }

  /** The name of the contrast class, true for the most probable others, null for none. */
  contrastName() {
    const contrast = contrastInEffect(this.state, this.props);
    return contrast === true ? true : this.nameOf(contrast);
  }

  /** Adds a network that was dropped on the open page, and chooses it. */
  addNetwork(name, page) {
    this.offerNetworks(page);
    if (!this.state.models.includes(name)) this.change({ models: [...this.state.models, name] });
    this.controls.update();
    this.refresh();
  }

  /** page: all networks and classes that exist now, see `page_of_networks` of demo/server/own_networks.py. */
  offerNetworks(page) {
    Object.assign(this.props, page);
    this.controls.hasOtherModels = true;
  }

  titleOf(model) {
    return this.props.models.find(({ name }) => name === model)?.title ?? model;
  }

  // State

  /** Applies changes to the state, and shows them. preview: an example whose panels appear before the server answers. */
  change(changes, { isStart = false, isFromControl = false, preview } = {}) {
    const before = this.state;
    const after = nextState(before, changes, { models: this.props.models, isOpening: this.isOpening });
    const isNewPhoto = !isSame(after.photo, before.photo);
    if (isSame(after, before)) return;
    this.state = after;
    this.isOpening &&= isStart;
    document.body.dataset.kind = after.kind;
    if (isNewPhoto) this.controls.hidePreview(isOwn(after.photo));
    this.controls.nameCrop();
    this.toolbar.setLayer(after.layer);
    for (const [i, name] of CLASS_FIELDS.entries()) this.fields[i].show(after[name]);
    this.toolbar.setExplained(this.nameOf(after.target), this.contrastName());
    this.toolbar.setSigned(this.isSigned(), this.canBeSigned());
    if (isNewPhoto) this.sequence.note(after);
    const { position, hasSeveral } = this.sequence;
    const shown = this.sequence.shownAs(after.photo);
    this.examples.mark(after.photo, shown?.caption || hasSeveral ? shown : undefined, hasSeveral && position);
    this.presentation.setCaption(...(after.photo ? [shown, position] : []));
    const isReordered = changes.models && String(changes.models) !== String(after.models);
    if (!isFromControl || isNewPhoto || isReordered) this.controls.update();
    if (!this.isOpening) history.replaceState(history.state, "", this.link());
    if (preview && after.models.length) this.results.preview(preview);
    this.refresh();
  }

  choosePhoto(photo) {
    const { address } = photo;
    if (address && this.presentation.isOn) {
      this.notify(NOT_WHILE_PRESENTING);
      return;
    }
    // The address that could not be fetched before is tried again.
    if (address && address === this.state.photo?.address && !this.results.photo) this.refresh();
    else this.change({ photo });
  }

  openLive() {
    if (!this.props.isLive) return;
    if (this.state.models.length) this.live.open();
    else this.notify(this.props.noModel);
  }

  /** The photo of a file that is sent to the server; undefined if it could not be. */
  async upload(file) {
    const text = `Sending ${file.name} …`;
    const waiting = setTimeout(() => this.toast.show(text, { isLasting: true }), SENDING_DELAY_MS);
    try {
      return await uploadFile(file);
    } catch (error) {
      const isCurrent = () => this.sequence.current?.file === file;
      if (!error.isAway) {
        this.notify(error.message);
        if (this.awayMs) {
          this.awayMs = 0;
          this.refresh();
        }
      } else if (isCurrent()) {
        const again = () => (isCurrent() ? this.sequence.go(this.sequence.at) : this.refresh());
        this.waitForServer(again, `The server does not answer. ${file.name} is sent as soon as it does.`);
      }
      return undefined;
    } finally {
      clearTimeout(waiting);
      this.toast.end(text);
    }
  }

  link() {
    return linkTo(location.href, this.state, this.defaults);
  }

  share() {
    this.sharing.show(this.link(), noteOnLink(this.state.photo));
  }

  showCode() {
    this.pageCode.show(this.link(), this.state.photo?.upload ? noteOnLink(this.state.photo) : "");
  }

  searchClass() {
    if (this.state.photo) this.classSearch.open(this.state.target);
  }

  // Requests

  map() {
    return mapSettings(this.state, this.props);
  }

  canBeSigned() {
    return canBeSigned(this.state, this.props);
  }

  isSigned() {
    return isSigned(this.state, this.props);
  }

  request() {
    const { photo, window, covers, view, target, contrast } = this.state;
    const may_fetch = !this.presentation.isOn; // an audience must not see pictures fetched from the web
    const shown_photo_id = this.results.photo?.id ?? "";
    return { ...photo, window, covers, may_fetch, view, target, contrast, shown_photo_id };
  }

  mapRequests() {
    return mapRequests(this.state, this.props);
  }

  /** Requests the maps of the current state. more: fields for this request only. */
  refresh(more = {}) {
    // A file that waits for the server keeps its turn, and is then shown with the settings of that moment.
    if (this.awayMs && this.sequence.current?.file && !this.sequence.shownAs(this.state.photo)) return;
    this.running?.abort();
    clearTimeout(this.returning);
    this.again = () => this.refresh();
    this.coverComparison.clear();
    this.cover.setCovers(this.state.covers);
    this.results.drawCovers();
    const { photo, models } = this.state;
    if (!photo || !models.length) {
      this.methods.stop();
      this.steps.stop();
      this.trust.stop();
      this.results.showMessage(photo ? this.props.noModel : this.props.hint);
      return;
    }
    this.running = new AbortController();
    this.results.expect(this.running.signal);
    const body = { ...this.request(), maps: this.mapRequests(), compare: true, ...more };
    streamExplanations(body, (answer) => this.receive(answer), this.running.signal);
  }

  receive(answer) {
    if (answer.covers) this.takeCovers(answer.covers);
    if (answer.refused) this.notify(answer.refused);
    if (!answer.problem) {
      this.awayMs = 0;
      this.results.receive(answer);
      return;
    }
    this.running.abort();
    if (answer.isAway) this.waitForServer(() => this.refresh(), AWAY);
    else if (this.awayMs && this.state.photo?.upload && this.sequence.current?.file) {
      this.awayMs = 0;
      this.sequence.go(this.sequence.at).then(() => this.refresh()); // sent again, it may have the same name
    } else this.results.showMessage(answer.problem, true, answer.again !== undefined);
  }

  /** again(): what is done when the server may be back, or when the person asks for it. */
  waitForServer(again, text) {
    this.running?.abort();
    clearTimeout(this.returning);
    this.sequence.forgetUploads(); // a server that starts anew has none
    this.awayMs = Math.min(2 * (this.awayMs || RETURN_MS / 2), LONGEST_RETURN_MS);
    this.returning = setTimeout(again, this.awayMs);
    this.again = again;
    this.results.showMessage(text, true, true);
  }

  // Covering

  toggleCover(withKeys = false) {
    if (this.results.photo || this.cover.isOn) this.cover.toggle(undefined, withKeys);
  }

  /** Whether one more place may be covered; tells the visitor if not. */
  mayCover() {
    const most = this.props.coverLimits.covers;
    if (this.state.covers.length < most) return true;
    this.notify(`At most ${most} places are covered. Undo one of them first.`);
    return false;
  }

  coverHottest(fill, model = null) {
    if (!this.mayCover()) return;
    if (!this.cover.isOn) this.cover.toggle(true);
    if (this.results.photo) this.refresh({ hottest: { model, fill } });
  }

  /** Takes over the covers that the server has found; its results for them follow without another request. */
  takeCovers(covers) {
    this.state = { ...this.state, covers };
    this.cover.setCovers(covers);
    this.results.drawCovers();
    history.replaceState(history.state, "", this.link());
  }

  compareCover() {
    const { photo, panels } = this.results;
    const own = [...panels].filter(([, panel]) => panel.result).map(([model, panel]) => [model, panel.result]);
    this.coverComparison.begin(photo, this.state.covers, own);
  }

  // What is shown

  setDisplay(changes) {
    Object.assign(this.display, changes);
    const { layers, opacity } = this.display;
    this.root.style.setProperty("--opacity", layers === "overlay" ? opacity : 1);
    this.root.dataset.layers = layers;
    this.toolbar.setDisplayMode(layers);
    if (!changes.colormap && !changes.layers) return;
    this.results.recolor();
    this.comparison.recolor();
    this.methods.recolor();
  }

  notify(text, retry) {
    this.toast.show(text, { retry });
  }
}
