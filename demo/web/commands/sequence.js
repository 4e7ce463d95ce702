// The sequence of photos that a visitor steps through: the slides of a talk, or the examples; and the visitor's own photos,
// after the examples or after the slide that was shown when they were added.

import { isSame } from "../state.js";

const UPLOAD_KEPT_MS = 45 * 60_000; // the server removes uploads after an hour
const MOST_FILES = 200;

const sameAs = (photo) => (item) => isSame(item.state.photo, photo);

export class Sequence {
  /** slides: of a talk, or null. examples: from demo/ui/page_data.py. show(state): shows a state on the page.
   * upload(file): returns the photo. tell(text): shows a message. */
  constructor({ slides, examples, show, upload, tell }) {
    Object.assign(this, { show, upload, tell });
    this.isTalk = Boolean(slides);
    this.items = slides ?? examples.map(({ name, title, caption }) => ({ state: { photo: { example: name } }, title, caption }));
    this.items = this.items.map((item) => ({ ...item }));
    this.at = -1;
  }

  get current() {
    return this.items[this.at];
  }

  /** The current one, if it has this photo: one of the person's own may still be on its way. */
  shownAs(photo) {
    return this.current && sameAs(photo)(this.current) ? this.current : undefined;
  }

  /** Whether there are several files of the person's own. */
  get hasSeveral() {
    return this.items.filter(({ file }) => file).length > 1;
  }

  /** Which of how many. */
  get position() {
    return this.at < 0 ? "" : `${this.at + 1} of ${this.items.length}`;
  }

  /** The page shows the photo of this state. One that is the person's own is kept among the others. */
  note(state) {
    const { photo } = state;
    if (!photo || this.shownAs(photo)) return;
    const at = this.items.indexOf(this.closest(state));
    if (at >= 0 || photo.example) this.at = at;
    else this.at = this.insert([{ state: { photo }, title: "Your photo", caption: "" }]);
  }

  /** Of the slides with this photo, the one with the most choices, all of which agree with the state; else the first. */
  closest(state) {
    const items = this.items.filter(sameAs(state.photo));
    const isTrue = (item) => Object.entries(item.state).every(([name, value]) => isSame(value, state[name]));
    const size = (item) => Object.keys(item.state).length;
    const [best = items[0]] = items.filter(isTrue).sort((one, other) => size(other) - size(one));
    return best;
  }

  /** Inserts items at the end, or in a talk after the current slide; returns the position of the first. */
  insert(items) {
    const at = this.isTalk ? this.at + 1 : this.items.length;
    this.items.splice(at, 0, ...items);
    return at;
  }

  /** Files of the person's own, of which the first is shown. state: what is chosen for them. */
  add(files, state = {}) {
    const taken = files.slice(0, MOST_FILES);
    if (taken.length < files.length) this.tell(`Of the ${files.length} files, only the first ${MOST_FILES} are used.`);
    return this.go(this.insert(taken.map((file) => ({ state, title: file.name, caption: "", file }))));
  }

  /** Makes each of the visitor's own photos be sent again the next time it is shown. */
  forgetUploads() {
    for (const item of this.items) if (item.file) item.at = 0;
  }

  step(by) {
    const { length } = this.items;
    const at = this.at < 0 ? (by > 0 ? 0 : length - 1) : (this.at + by + length) % length;
    return this.go(at);
  }

  async go(at) {
    const item = this.items[at];
    this.at = at;
    const isOld = item.file && Date.now() - (item.at ?? 0) > UPLOAD_KEPT_MS;
    if (isOld) {
      const photo = await this.upload(item.file);
      if (!photo) return;
      item.state = { ...item.state, photo };
      item.at = Date.now();
    }
    if (this.items[this.at] === item) this.show(item.state);
  }
}
