// The choices on the page: which choice undoes which other, and which of them a request contains.

export const CLASS_FIELDS = ["target", "contrast"]; // the parts of the state that the class fields change

/** The initial state. defaults: of the controls, from demo/ui/page_data.py. */
export const defaultState = (defaults) => ({
  photo: null,
  window: null,
  covers: [],
  target: null,
  contrast: null,
  layer: 1,
  signed: null,
  ...defaults,
});

/** Whether a photo is the person's own: uploaded, or from the web. */
export const isOwn = (photo) => Boolean(photo && !photo.example);

export const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** The state after some changes. models: all that there are. isOpening: the photo before is the example that the page
 * opens with. */
export function nextState(before, changes, { models, isOpening }) {
  const after = { ...before, ...changes };
  after.models = models.map(({ name }) => name).filter((name) => after.models.includes(name));
  // For a new photo, each network's top class is explained first, and the range of values is chosen anew.
  // The class of a link without a photo is kept for the photo that replaces the opening example.
  if (!isSame(after.photo, before.photo) && before.photo && !isOpening) {
    for (const name of CLASS_FIELDS) after[name] = changes[name] ?? null;
    after.window = changes.window ?? null;
    after.covers = changes.covers ?? [];
  }
  // No class is explained rather than itself: the last choice counts.
  if (after.target !== null && after.target === after.contrast) {
    after[after.target === before.target ? "target" : "contrast"] = null;
  }
  return after;
}

const methodNamed = (method, { methods }) => methods.find(({ name }) => name === method);

/** The method, detail and automatic contrast of the maps that a state asks for. */
export function mapSettings({ kind, method, detail, auto_contrast: contrast }, { kinds }) {
  const preset = kinds[kind];
  return preset ? { ...preset, contrast: false } : { method, detail, contrast };
}

/** The contrast class, true for the most probable others, null for none or if it has no effect. */
export function contrastInEffect(state, props) {
  const { method, contrast: isAuto } = mapSettings(state, props);
  if (!methodNamed(method, props).knows_class) return null;
  return state.contrast ?? (isAuto || null);
}

export const canBeSigned = (state, props) => methodNamed(mapSettings(state, props).method, props).can_be_signed;

/** Whether evidence against the class is shown, too: as chosen; if nothing was chosen, when two classes are compared. */
export const isSigned = (state, props) => canBeSigned(state, props) && (state.signed ?? state.contrast !== null);

/** The maps that a request asks for: one for each network. */
export function mapRequests(state, props) {
  const map = { ...mapSettings(state, props), layer: state.layer, signed: isSigned(state, props) };
  return state.models.map((model) => ({ id: model, model, ...map }));
}
