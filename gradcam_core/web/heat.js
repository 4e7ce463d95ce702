// Heat on a photo: lays a map over what the network saw, bilinear between the centres of its cells, as `View.to_photo`
// in gradcam_core does. All places are shares of the photo's sides.
//
// A map is {rows, columns, cells, region, box}. cells: the values, row by row, of any scale; region: the part that the
// cells cover, padding included; box: the part of the photo that the network saw; both as [left, top, right, bottom].

export const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/** The map on a raster of width x height pixels that covers the whole photo, scaled to a largest absolute value of 1;
 * 0 where the network did not see the photo. */
export function spread({ rows, columns, cells, region, box }, width, height) {
  const [left, top, right, bottom] = region;
  const heat = new Float32Array(width * height);
  const [x0, y0] = [firstInside(box[0], width), firstInside(box[1], height)];
  const [x1, y1] = [endInside(box[2], width), endInside(box[3], height)];
  const across = [];
  for (let x = x0; x < x1; x++) across.push(cellsAround((x + 0.5) / width, left, right, columns));
  const line = new Float32Array(columns + 1);
  let peak = 0;
  for (let y = y0; y < y1; y++) {
    const [above, share] = cellsAround((y + 0.5) / height, top, bottom, rows);
    const upper = above * columns;
    const lower = Math.min(above + 1, rows - 1) * columns;
    for (let i = 0; i < columns; i++) line[i] = cells[upper + i] * (1 - share) + cells[lower + i] * share;
    let pixel = y * width + x0;
    for (const [cell, part] of across) {
      const value = line[cell] * (1 - part) + line[cell + 1] * part;
      if (Math.abs(value) > peak) peak = Math.abs(value);
      heat[pixel++] = value;
    }
  }
  if (peak > 0) for (let i = 0; i < heat.length; i++) heat[i] /= peak;
  return heat;
}

/** The cell before a place along one axis, and the place's distance from that cell's centre, in cells. */
function cellsAround(place, start, end, count) {
  const last = count - 1;
  const position = Math.min(Math.max(((place - start) / (end - start)) * count - 0.5, 0), last);
  const before = Math.min(Math.floor(position), Math.max(last - 1, 0));
  return [before, position - before];
}

// A pixel of the raster is inside if it covers any of the box, with a tolerance for rounding.
const firstInside = (share, size) => Math.floor(share * size + 1e-5);
const endInside = (share, size) => Math.ceil(share * size - 1e-5);

/** Whether the network saw this place. */
export const isInside = ([left, top, right, bottom], x, y) =>
  x >= left && x < right && y >= top && y < bottom;

/** The CSS `inset` of a box. */
export const insetOf = ([left, top, right, bottom]) =>
  [top, 1 - right, 1 - bottom, left].map((share) => `${100 * share}%`).join(" ");

/** The colours for `paint`, from 256 RGBA colours. isOpaque: for heat that hides the photo. */
export function palette(bytes, isOpaque) {
  const copy = Uint8Array.from(bytes);
  if (isOpaque) for (let i = 3; i < copy.length; i += 4) copy[i] = 255;
  return new Uint32Array(copy.buffer);
}

/** Draws heat on a canvas, which gets its size. colors: a palette for values from `lowest`, 0 or -1, to 1. */
export function paint(canvas, heat, width, height, colors, lowest = 0) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const levels = 255 / (1 - lowest);
  for (let i = 0; i < heat.length; i++) pixels[i] = colors[Math.round((heat[i] - lowest) * levels)];
  context.putImageData(picture, 0, 0);
}
