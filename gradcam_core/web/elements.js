// Making and finding elements. What comes from outside becomes text, never markup.

/** An element: `h("button", { class: "tool", onclick: act }, "Text", child)`. */
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** The first element that a selector finds. */
export const query = (selector, within = document) => within.querySelector(selector);
