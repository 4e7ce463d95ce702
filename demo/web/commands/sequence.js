// What one steps through: the slides of a talk, or the examples; and after them the person's own photos.

const UPLOAD_KEPT_MS = 45 * 60_000; // the server removes uploads after an hour
const MOST_FILES = 200;

const sameAs = (photo) => (item) => JSON.stringify(item.state.photo) === JSON.stringify(photo);

export class Sequence {
  /** slides: of a talk, or null. examples: from demo/ui/page_data.py. show(state): has the page show it.
   * upload(file): gives the photo. tell(text): the person. */
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

  /** Which of how many, where there is more than the examples. */
  get position() {
    return this.at < 0 ? "" : `${this.at + 1} of ${this.items.length}`;
  }

  /** The page shows this photo. One that is the person's own is kept among the others. file: it was uploaded from. */
  note(photo, file) {
    if (!photo) return;
    if (this.current && sameAs(photo)(this.current)) return;
    let at = this.items.findIndex(sameAs(photo));
    if (at < 0 && !photo.example) {
      at = this.items.push({ state: { photo }, title: file?.name ?? "Your photo", caption: "", file, at: Date.now() }) - 1;
    }
    this.at = at;
  }

  /** Files of the person's own, of which the first is shown. */
  add(files) {
    const taken = files.slice(0, MOST_FILES);
    if (taken.length < files.length) this.tell(`Of the ${files.length} files, only the first ${MOST_FILES} are used.`);
    const first = this.items.length;
    this.items.push(...taken.map((file) => ({ state: {}, title: file.name, caption: "", file })));
    return this.go(first);
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
