// Names in scripts that no font of this machine has, in Latin letters instead of boxes.

const UNASSIGNED = "\u0378"; // no font has it
const PEN_SIDE_PX = 24;

const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
pen.canvas.width = pen.canvas.height = 2 * PEN_SIDE_PX;
const drawnAs = new Map(); // the pixels of each letter, as text

function formOf(letter) {
  if (!drawnAs.has(letter)) {
    pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
    pen.font = `${PEN_SIDE_PX}px system-ui, sans-serif`;
    pen.textBaseline = "top";
    pen.fillText(letter, 4, 4);
    drawnAs.set(letter, pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height).data.join());
  }
  return drawnAs.get(letter);
}

const isBox = (letter) => /[^\p{M}\p{Cf}\s]/u.test(letter) && formOf(letter) === formOf(UNASSIGNED);

/** The text, with Latin letters for words that would be boxes. latin: Latin letters for each other
 * character. */
function drawable(text, latin) {
  return text.replace(/[^\0-\u02ff]+/gu, (word) => {
    const letters = [...word];
    return letters.some(isBox) ? letters.map((letter) => latin[letter] ?? "").join("") : word;
  });
}
