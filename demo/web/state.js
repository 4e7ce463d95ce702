// What is chosen on the page: which choice undoes which other, and what of it a request carries.

export const CLASS_FIELDS = ["target", "contrast"]; // the names of the state that the class fields change

/** defaults: of the controls, from demo/ui/page_data.py. */
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
  // Another picture: each network's own top prediction is explained first, and brightness is chosen anew.
  // A link without a photo keeps its class for the photo that takes the opening example's place.
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

/** Method, detail and contrast of the maps, from what was chosen. */
export function mapSettings({ kind, method, detail, auto_contrast: contrast }, { kinds }) {
  const preset = kinds[kind];
  return preset ? { ...preset, contrast: false } : { method, detail, contrast };
}

/** The class in contrast, true for the most probable others, null for none or where it has no effect. */
export function contrastInEffect(state, props) {
  const { method, contrast: isAuto } = mapSettings(state, props);
  if (!methodNamed(method, props).knows_class) return null;
  return state.contrast ?? (isAuto || null);
}

export const canBeSigned = (state, props) => methodNamed(mapSettings(state, props).method, props).can_be_signed;

/** Whether what speaks against the class is shown, too: as chosen, else where two classes are compared. */
export const isSigned = (state, props) => canBeSigned(state, props) && (state.signed ?? state.contrast !== null);

/** What a request asks for: a map of each network. */
export function mapRequests(state, props) {
  const map = { ...mapSettings(state, props), layer: state.layer, signed: isSigned(state, props) };
  return state.models.map((model) => ({ id: model, model, ...map }));
}
