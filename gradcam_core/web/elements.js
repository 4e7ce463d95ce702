// Creating and finding elements. Strings always become text, never markup.

/** Creates an element: `h("button", { class: "tool", onclick: act }, "Text", child)`. */
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

/** Creates an SVG element. */
export function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** A bar whose length is a share; before: an earlier share, marked in the bar. Hidden from screen readers, because the
 * number is shown beside it. */
export function shareBar(share, before) {
  const made = h("span", { class: "bar", "aria-hidden": "true" });
  made.style.setProperty("--share", share);
  if (before !== undefined) made.style.setProperty("--before", before);
  return made;
}
