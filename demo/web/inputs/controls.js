// Gradio's controls at the left: what a person chooses there, and what they are to show.

const OURS = "shown from here: "; // begins the path of a file that Gradio's photo control is given
const UPDATE_DELAY_MS = 100;

export class Controls {
  /** props: from demo/ui/page_data.py. trigger(): has Gradio ask for `values()`. change(changes): of
   * the page's state. view(): what the page shows, as {state, photo, isCurrent}. */
  constructor({ props, trigger, change, view }) {
    Object.assign(this, { props, trigger, change, view });
    this.hasOtherModels = false; // to choose from than the control has
    // What the controls have now, as JSON. The models report their first value when they are made.
    this.lastValues = { models: JSON.stringify(props.defaults.models) };
  }

  /** One of the controls has another value. */
  receive(name, value) {
    const json = JSON.stringify(value);
    if (name === "models" && this.lastValues.models === json) return;
    this.lastValues[name] = json;
    if (name === "photo") {
      // Set from here; this may report one that has been replaced since.
      if (!value?.path.startsWith(OURS)) this.change({ photo: value && { upload: value.path } });
      return;
    }
    this.change({ [name]: value });
  }

  /** What the controls are to show, in the order of `props.controls`; undefined is what they show
   * already. */
  values() {
    const { state } = this.view();
    const values = { ...state, photo: this.photoFile() };
    return this.props.controls.map((name) => {
      const json = JSON.stringify(values[name]);
      if (name === "models" && this.hasOtherModels) {
        this.hasOtherModels = false;
        this.lastValues[name] = json;
        const choices = this.props.models.map((model) => [model.title, model.name]);
        return { __type__: "update", choices, value: values[name] };
      }
      if (json === this.lastValues[name]) return undefined;
      // An update now would close the list on the person who chooses from it.
      if (document.querySelector(`#${name} input[aria-expanded="true"]`)) {
        this.updateSoon();
        return undefined;
      }
      this.lastValues[name] = json;
      return values[name];
    });
  }

  update() {
    this.trigger();
  }

  updateSoon() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.update(), UPDATE_DELAY_MS);
  }

  /** The photo in the form that Gradio's control takes, once there is something to show. */
  photoFile() {
    const { state, photo, isCurrent } = this.view();
    const { example, address, upload } = state.photo ?? {};
    // The photo as it is stays here while places of it are covered.
    if (state.covers.length && this.lastPhoto) return this.lastPhoto;
    if (!example && !((address || upload) && isCurrent)) return undefined;
    const name = `${example ?? "picture"}.jpg`;
    const url = example ? new URL(`examples/${name}`, document.baseURI).href : photo.url;
    const meta = { _type: "gradio.FileData" };
    this.lastPhoto = { path: OURS + name, url, orig_name: name, mime_type: "image/jpeg", meta };
    return this.lastPhoto;
  }

  /** Says what the view "crop" is for the networks that are chosen: its words are a part of Gradio's control. */
  nameCrop() {
    const { models } = this.view().state;
    const ofChosen = new Set(this.props.models.filter(({ name }) => models.includes(name)).map(({ crop }) => crop));
    const [crop] = ofChosen.size > 1 ? [this.props.severalCrops] : ofChosen;
    const words = document.querySelector('#view input[value="crop"] + span');
    if (crop && words && words.textContent !== crop) words.textContent = crop;
  }

  /** The browser is spared the photo as it was taken, of many megapixels: its preview waits for the
   * smaller one that the panels show. */
  hidePreview(isHidden) {
    document.body.classList.toggle("without-preview", isHidden);
  }
}
