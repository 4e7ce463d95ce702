// The live view: sends the camera's newest frame to the server, and shows it together with its maps when they arrive.
// The next frame is sent a moment before that, so that the server reads it while the networks still process this one.
// At most one frame waits, so there is never a backlog.

import { h } from "../core/elements.js";
import { dialog, icon } from "../dom.js";
import { frameSender } from "../requests.js";
import { Camera } from "./camera.js";
import { LivePanel } from "./live_panel.js";

const AGAIN_S = 2; // until the next try if the server names no time
const RATE_MS = 1000; // between two counts of frames
const LEAD_MS = 50; // from taking a frame until its passes can begin
const STARTING = "Starting the camera …";
const SLOW_CAMERA = "The camera has not answered yet. Allow it if the browser asks; otherwise try again.";
const SLOW_CAMERA_MS = 5000;
const FIRST_FRAME = "The networks are looking at the first frame …";
const NO_SENDER = "The server does not answer. Try again in a moment.";
const FILE_NAME = "camera.jpg";

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class LiveView {
  /** act: models() as [name, title], view(), colors(), opacity(); freeze(file, pinned): takes the photo and the pinned
   * class, or null. */
  constructor(act) {
    this.act = act;
    this.camera = new Camera((text, isOver) => (isOver ? this.stop(text) : this.tell(text)));
    this.visitor = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-");
    this.message = h("p", { class: "live-message", role: "status" });
    this.retryButton = this.button("retry", "Try again", () => this.begin());
    this.pin = h("button", { type: "button", class: "action pin", hidden: true, onclick: () => this.setPinned(null) });
    this.rate = h("span", { class: "subtle rate" });
    this.freezeButton = this.button("camera", "Freeze", () => this.freeze(), "primary");
    this.panels = h("div", { class: "live-panels" });
    this.element = dialog("Live");
    this.element.classList.add("live");
    const [header] = this.element.children;
    header.children[0].after(
      h("div", { class: "live-tools" }, this.pin, this.rate, h("span", { class: "subtle hint" }, "Click a class to pin it · Space freezes · Esc leaves"), this.freezeButton),
    );
    this.element.append(h("div", { class: "live-notes" }, this.message, this.retryButton), this.panels, this.camera.video);
    this.element.addEventListener("close", () => this.end());
    // On the document, because the focused element may have been removed, such as the button of a pinned class.
    for (const kind of ["keydown", "keyup"]) document.addEventListener(kind, (event) => this.press(event));
    document.addEventListener("visibilitychange", () => this.followTab());
  }

  button(name, text, act, kind = "") {
    return h("button", { type: "button", class: `action ${kind}`, onclick: act }, icon(name), h("span", {}, text));
  }

  get isOpen() {
    return this.element.open;
  }

  open() {
    if (this.isOpen) return;
    this.element.style.setProperty("--opacity", this.act.opacity());
    this.byModel = new Map(
      this.act.models().map(([model, title]) => {
        const pin = (one) => this.setPinned(one.index === this.pinned?.index ? null : one);
        return [model, new LivePanel(model, title, { colors: this.act.colors, pin })];
      }),
    );
    this.panels.replaceChildren(...[...this.byModel.values()].map(({ element }) => element));
    this.element.style.setProperty("--count", this.byModel.size);
    this.setPinned(null);
    this.element.showModal();
    this.freezeButton.focus();
    this.begin();
  }

  close() {
    this.element.close();
  }

  /** Stops the camera while the tab is hidden. */
  followTab() {
    if (!this.isOpen) return;
    if (document.hidden) this.halt();
    else this.begin();
  }

  async begin() {
    this.halt();
    const running = (this.running = new AbortController());
    this.tell(STARTING);
    const slow = setTimeout(() => this.running === running && this.tell(SLOW_CAMERA, true), SLOW_CAMERA_MS);
    try {
      await this.camera.start();
    } catch (error) {
      if (this.running === running) this.stop(error.message);
      return;
    } finally {
      clearTimeout(slow);
    }
    if (!running.signal.aborted) await this.run(running.signal);
  }

  halt() {
    this.running?.abort();
    this.running = null;
    this.sender?.end();
    this.sender = null;
    this.camera.stop();
    this.rate.textContent = "";
    this.counted = { frames: 0, since: performance.now() };
  }

  /** Until the person tries again. */
  stop(text) {
    this.halt();
    this.tell(text, true);
  }

  end() {
    this.halt();
    this.panels.replaceChildren();
    this.shown = null;
    this.freezeButton.disabled = true;
  }

  async run(signal) {
    this.tell(this.shown ? "" : FIRST_FRAME);
    this.sender = frameSender(() => this.stop(NO_SENDER));
    this.inFlight = new Set();
    let number = 0;
    const ask = () => this.ask(++number);
    let pending = ask();
    let askedAt = performance.now();
    let took_ms = null; // from request to answer; null if other visitors should have their turn first
    while (!signal.aborted) {
      let early = null;
      let earlyAt = 0;
      const begin = () => {
        if (signal.aborted) return;
        earlyAt = performance.now();
        early = ask();
      };
      const timer = took_ms === null ? 0 : setTimeout(begin, askedAt + took_ms - LEAD_MS - performance.now());
      const { frame, answer } = await pending;
      clearTimeout(timer);
      if (signal.aborted) return;
      if (answer.results) this.shown = frame;
      const pause_s = answer.problem ? (answer.again ?? AGAIN_S) : answer.pause_s;
      took_ms = pause_s > 0 ? null : performance.now() - askedAt;
      askedAt = early ? earlyAt : performance.now() + 1000 * pause_s;
      pending = early ?? (pause_s > 0 ? later(1000 * pause_s).then(ask) : ask());
      if (answer.problem) this.tell(this.camera.note || answer.problem);
      else this.show(frame, answer.results);
    }
  }

  /** Takes the newest frame and sends it to the server. */
  async ask(number) {
    const { sender, inFlight } = this;
    const frame = await this.camera.take((one) => one === this.shown || inFlight.has(one));
    inFlight.add(frame);
    const models = [...this.byModel.keys()];
    const request = { visitor: this.visitor, frame: number, models, view: this.act.view(), target: this.pinned?.index };
    const answer = sender ? await sender.ask(frame, request) : {};
    inFlight.delete(frame);
    return { frame, answer };
  }

  show(frame, results) {
    this.tell(this.camera.note); // the frame may have been taken before a pause
    this.freezeButton.disabled = false;
    const shown = results.map((result) => [this.byModel.get(result.asked), result]);
    for (const [panel, result] of shown) panel.draw(frame, result);
    for (const [panel, result] of shown) panel.write(result, this.pinned?.index);
    performance.measure("live frame", { start: frame.takenAt, end: performance.now() });
    performance.clearMeasures("live frame"); // observers still receive it
    this.count();
  }

  count() {
    this.counted.frames++;
    const took = performance.now() - this.counted.since;
    if (took < RATE_MS) return;
    const rate = Math.round((1000 * this.counted.frames) / took);
    this.rate.textContent = rate === 1 ? "1 frame a second" : `${rate} frames a second`;
    this.counted = { frames: 0, since: performance.now() };
  }

  tell(text, canRetry = false) {
    if (this.message.textContent !== text) this.message.textContent = text;
    this.retryButton.hidden = !canRetry;
  }

  /** Sets the class that all networks explain from the next frame on; null for each network's top class. */
  setPinned(prediction) {
    this.pinned = prediction;
    this.pin.hidden = !prediction;
    if (!prediction) return;
    this.pin.replaceChildren(icon("pin"), h("span", {}, prediction.name), icon("close"));
    this.pin.setAttribute("aria-label", `Unpin ${prediction.name}`);
    this.pin.title = "Explain each network's top class again";
  }

  press(event) {
    if (!this.isOpen || event.key !== " " || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // keeps the space bar from pressing the focused button
    if (event.type === "keydown" && !event.repeat) this.freeze();
  }

  /** Takes the shown frame as the photo, and closes the live view. */
  async freeze() {
    const frame = this.shown;
    if (!frame) return;
    const pinned = this.pinned?.index ?? null;
    this.halt(); // so that nothing is drawn over the frame
    const file = await frame.file(FILE_NAME);
    this.close();
    this.act.freeze(file, pinned);
  }
}
