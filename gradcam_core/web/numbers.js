// Formats numbers, in the same way as gradcam_core/wording.py.

/** A probability as "54.4 %"; "" if there is none. */
export function percentage(share) {
  if (share === null || share === undefined) return "";
  if (share >= 0.9995) return ">\u00a099.9\u00a0%";
  if (share < 0.001) return "<\u00a00.1\u00a0%";
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

/** A share of places as "54 %". Only all of them are "100 %", only none are "0 %". */
export function wholePercentage(share) {
  if (share > 0 && share < 0.005) return "<\u00a01\u00a0%";
  if (share < 1 && share >= 0.995) return ">\u00a099\u00a0%";
  return `${decimal(100 * share, 0)}\u00a0%`;
}

/** A count's share of a total as "54.4 %". Only all are "100.0 %", only none are "0.0 %". */
export function countedPercentage(count, total) {
  return 0 < count && count < total ? percentage(count / total) : `${decimal((100 * count) / total, 1)}\u00a0%`;
}

/** A number with this many decimals, and a minus sign as wide as a plus. */
export function decimal(value, digits = 2) {
  const written = Math.abs(value).toFixed(digits);
  return value < 0 && Number(written) !== 0 ? `\u2212${written}` : written;
}

/** The same with as many decimals as it takes to see on which side of a limit it is: 0.797 if 0.80 is a limit. */
export function decimalBeside(value, limits, digits = 2) {
  const isAt = (limit) => value !== limit && decimal(value, digits) === decimal(limit, digits);
  return digits < 6 && limits.some(isAt) ? decimalBeside(value, limits, digits + 1) : decimal(value, digits);
}

const wholeNumbers = new Intl.NumberFormat("en");

/** 5000 as "5,000". */
export const thousands = (count) => wholeNumbers.format(count);

/** A number with its noun: "1 picture", "5,000 pictures". */
export const counted = (count, thing) => `${thousands(count)} ${thing}${count === 1 ? "" : "s"}`;
