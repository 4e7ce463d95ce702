// How numbers are written: the same as gradcam_core/wording.py.

/** A share as "54.4 %", for a table or a label; empty where there is none. */
export function percentage(share) {
  if (share === null || share === undefined) return "";
  if (share >= 0.9995) return ">\u00a099.9\u00a0%";
  if (share < 0.001) return "<\u00a00.1\u00a0%";
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

/** A share as "54 %". */
export const wholePercentage = (share) => `${decimal(100 * share, 0)}\u00a0%`;

/** A number with so many decimals; a minus sign is as wide as a plus. */
export function decimal(value, digits = 2) {
  const written = Math.abs(value).toFixed(digits);
  return value < 0 && Number(written) !== 0 ? `\u2212${written}` : written;
}
