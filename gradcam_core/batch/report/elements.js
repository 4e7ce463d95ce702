// Making elements. What a data set says is untrusted: it becomes text, never markup.

"use strict";

const one = (selector, within = document) => within.querySelector(selector);

/** An element: `h("button", { class: "tool", onclick: act }, "Text", child)`. */
function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

const numbers = new Intl.NumberFormat("en");

const plural = (count, word) => `${numbers.format(count)} ${word}${count === 1 ? "" : "s"}`;

function percent(share) {
  if (share === null || share === undefined) return "";
  if (share >= 0.9995) return "> 99.9\u00a0%";
  if (share < 0.001) return "< 0.1\u00a0%";
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

const wholePercent = (share) => `${Math.round(100 * share)}\u00a0%`;
