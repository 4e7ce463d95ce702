// Gradio's controls at the left: reads what a visitor chooses there, and sets what they show.

const OURS = "shown from here: "; // prefix of the path of a file that this script gives to Gradio's photo control
const UPDATE_DELAY_MS = 100;

export class Controls {
  /** props: from demo/ui/page_data.py. trigger(): makes Gradio call `values()`. change(changes): changes
   * the page's state. view(): what the page shows, as {state, photo, isCurrent}. */
  constructor({ props, trigger, change, view }) {
    Object.assign(this, { props, trigger, change, view });
    this.hasOtherModels = false; // whether the networks have changed since the control got its choices
    // The controls' current values as JSON. Gradio reports the first value of the models when it creates the control.
    this.lastValues = { models: JSON.stringify(props.defaults.models) };
  }

  /** Receives the new value of a control. */
  receive(name, value) {
    const json = JSON.stringify(value);
    if (name === "models" && this.lastValues.models === json) return;
    this.lastValues[name] = json;
    if (name === "photo") {
      // A photo set by this script is not reported back; it may have been replaced since.
      if (!value?.path.startsWith(OURS)) this.change({ photo: value && { upload: value.path } });
      return;
    }
    this.change({ [name]: value });
  }

  /** The values that the controls should show, in the order of `props.controls`; undefined for no change. */
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
      // An update now would close the list from which a visitor is choosing.
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

  /** The photo in the form that Gradio's control takes; undefined until there is something to show. */
  photoFile() {
    const { state, photo, isCurrent } = this.view();
    const { example, address, upload } = state.photo ?? {};
    // While places are covered, the control keeps showing the uncovered photo.
    if (state.covers.length && this.lastPhoto) return this.lastPhoto;
    if (!example && !((address || upload) && isCurrent)) return undefined;
    const name = `${example ?? "picture"}.jpg`;
    const url = example ? new URL(`examples/${name}`, document.baseURI).href : photo.url;
    const meta = { _type: "gradio.FileData" };
    this.lastPhoto = { path: OURS + name, url, orig_name: name, mime_type: "image/jpeg", meta };
    return this.lastPhoto;
  }

  /** Names the view "crop" after what the chosen networks see in it; the text is a part of Gradio's control. */
  nameCrop() {
    const { models } = this.view().state;
    const ofChosen = new Set(this.props.models.filter(({ name }) => models.includes(name)).map(({ crop }) => crop));
    const [crop] = ofChosen.size > 1 ? [this.props.severalCrops] : ofChosen;
    const words = document.querySelector('#view input[value="crop"] + span');
    if (crop && words && words.textContent !== crop) words.textContent = crop;
  }

  /** Hides the control's preview until the panels' smaller photo is there, to spare the browser an original of
   * many megapixels. */
  hidePreview(isHidden) {
    document.body.classList.toggle("without-preview", isHidden);
  }
}
