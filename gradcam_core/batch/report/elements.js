// Small helpers of the report's scripts.

const one = (selector, within = document) => within.querySelector(selector);

const wholeNumbers = new Intl.NumberFormat("en");

/** 5000 as "5,000". */
const thousands = (count) => wholeNumbers.format(count);

const plural = (count, word) => `${thousands(count)} ${word}${count === 1 ? "" : "s"}`;
