// Heat on the photo: a feature map laid over what the network saw of it, bilinear between the centres
// of its cells, as `View.to_photo` of gradcam_core does. Everything is in shares of the photo's sides.

/** The map of a result of the server (demo/server/answers.py) as numbers: rows of shares of its maximum. */
export function readMap(result) {
  const bytes = Uint8Array.from(atob(result.map.levels), (c) => c.charCodeAt(0));
  const levels = new DataView(bytes.buffer);
  const cells = new Float32Array(bytes.length / 2);
  for (let i = 0; i < cells.length; i++) cells[i] = levels.getUint16(2 * i, true) / 65535;
  const { rows, columns } = result.map;
  return { rows, columns, cells, region: result.region, box: result.box };
}

/** Which two cells a place lies between, and how far: along one axis, `at` a share of the photo. */
function between(at, start, end, count) {
  const last = count - 1;
  const position = Math.min(Math.max(((at - start) / (end - start)) * count - 0.5, 0), last);
  const before = Math.min(Math.floor(position), Math.max(last - 1, 0));
  return [before, position - before];
}

/** The map on a raster of width x height that covers the whole photo, its maximum 1; 0 outside. */
export function spread(map, width, height) {
  const [left, top, right, bottom] = map.region;
  const heat = new Float32Array(width * height);
  const first = { x: firstInside(map.box[0], width), y: firstInside(map.box[1], height) };
  const end = { x: endInside(map.box[2], width), y: endInside(map.box[3], height) };
  const across = [];
  for (let x = first.x; x < end.x; x++) {
    across.push(between((x + 0.5) / width, left, right, map.columns));
  }
  const row = new Float32Array(map.columns);
  let peak = 0;
  for (let y = first.y; y < end.y; y++) {
    const [before, share] = between((y + 0.5) / height, top, bottom, map.rows);
    const upper = before * map.columns;
    const lower = Math.min(before + 1, map.rows - 1) * map.columns;
    for (let i = 0; i < map.columns; i++) {
      row[i] = map.cells[upper + i] * (1 - share) + map.cells[lower + i] * share;
    }
    let at = y * width + first.x;
    for (const [cell, part] of across) {
      const next = cell + 1 < map.columns ? row[cell + 1] : 0;
      const value = row[cell] * (1 - part) + next * part;
      if (value > peak) peak = value;
      heat[at++] = value;
    }
  }
  if (peak > 0) for (let i = 0; i < heat.length; i++) heat[i] /= peak;
  return heat;
}

// A pixel of the raster is inside if it covers any of the box; rounding may not push it across.
const firstInside = (share, size) => Math.floor(share * size + 1e-6);
const endInside = (share, size) => Math.ceil(share * size - 1e-6);

/** Whether the network saw this place. */
export const isSeen = (map, x, y) =>
  x >= map.box[0] && x < map.box[2] && y >= map.box[1] && y < map.box[3];

/** Colours as `paint` needs them, from 256 RGBA quadruples; opaque: for heat that covers the photo. */
export function palette(colors, isOpaque) {
  const packed = new Uint32Array(256);
  const bytes = new Uint8Array(packed.buffer);
  bytes.set(colors.flat());
  if (isOpaque) for (let i = 3; i < bytes.length; i += 4) bytes[i] = 255;
  return packed;
}

/** Draws heat [0, 1] on a canvas of its size in the colours of a palette. */
export function paint(canvas, heat, width, height, colors) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  for (let i = 0; i < heat.length; i++) pixels[i] = colors[Math.round(heat[i] * 255)];
  context.putImageData(picture, 0, 0);
}
