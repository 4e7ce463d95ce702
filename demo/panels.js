// Draws the panels from `props.value` (demo/panels.py, Shown) and the `photo` event (ShownPhoto).
// The DOM of a panel is made once and then only changed, so that nothing flickers or jumps.

const root = element.querySelector(".panels");
const cards = new Map(); // model name -> card
let ticket = -1;
let photo = { id: "", ticket: -1 };

const node = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const percent = (share) => {
  if (share >= 0.9995) return "> 99.9 %";
  if (share < 0.001) return "< 0.1 %";
  return `${(100 * share).toFixed(1)} %`;
};

const ICONS = {
  download: "M12 4v11m0 0l-4.5-4.5M12 15l4.5-4.5M5 20h14",
  fullscreen: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
};

const button = (icon, label, act) => {
  const made = node("button", "tool");
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[icon]}"/></svg>`;
  made.addEventListener("click", act);
  return made;
};

function makeCard(model) {
  const card = { model, turn: 0, element: node("section", "panel") };
  card.element.dataset.model = model;
  card.header = node("header");
  card.heading = node("h2");
  card.standsIn = node("p", "stands-in");
  card.notice = node("p", "notice");
  card.figure = node("figure");
  card.stage = node("div", "stage");
  card.photo = node("img", "photo");
  card.seen = node("div", "seen");
  card.heat = node("canvas", "heat");
  card.heat.setAttribute("role", "img");
  card.status = node("div", "status");
  card.status.setAttribute("role", "status");
  card.tools = node("div", "tools");
  card.tools.append(
    button("download", "Download this picture", () => download(card)),
    button("fullscreen", "Full screen on or off", () => toggleFullScreen(card)),
  );
  card.stage.append(card.photo, card.seen, card.heat);
  card.figure.append(card.stage, card.status);
  const titles = node("div");
  titles.append(card.heading, card.standsIn);
  card.header.append(titles, card.tools);
  card.explained = node("p", "explained");
  card.how = node("p", "how");
  card.rows = node("ol", "top");
  for (let i = 0; i < 5; i++) {
    const row = node("li");
    row.append(node("span", "name"), node("span", "probability"), node("span", "bar"));
    card.rows.append(row);
  }
  card.element.append(card.header, card.figure, card.explained, card.how, card.rows, card.notice);
  return card;
}

const pixelsOf = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

function clearCard(card) {
  card.data = null;
  card.turn++; // a heat that is still being decoded is not for what comes now
  card.element.classList.add("empty");
  pixelsOf(card.heat).clearRect(0, 0, card.heat.width, card.heat.height);
  card.heat.removeAttribute("aria-label");
  card.seen.hidden = true;
  card.explained.textContent = card.how.textContent = "\u00a0";
  card.standsIn.textContent = card.notice.textContent = "";
  for (const row of card.rows.children) {
    row.className = "";
    row.children[0].textContent = row.children[1].textContent = "\u00a0";
    row.children[2].style.setProperty("--share", 0);
  }
}

function showPhoto(card) {
  if (card.photoId === photo.id) return;
  card.photoId = photo.id;
  card.photo.src = photo.url;
  card.photo.alt = "The photo";
  card.element.style.setProperty("--aspect", `${photo.width} / ${photo.height}`);
  card.element.style.setProperty("--ratio", photo.width / photo.height);
  clearCard(card);
}

function showPanel(card, panel) {
  const busy = panel.status !== "ready" && panel.status !== "failed";
  card.element.dataset.status = panel.status;
  card.element.setAttribute("aria-busy", String(busy));
  if (!card.data) card.heading.textContent = panel.title;
  card.status.textContent = panel.text;
  if (panel.status === "failed") clearCard(card);
  if (panel.status === "ready") showResult(card, panel);
}

async function showResult(card, panel) {
  const image = new Image();
  const turn = ++card.turn;
  image.src = panel.heat;
  await image.decode();
  if (turn !== card.turn) return; // something newer came
  card.data = panel;
  card.element.classList.remove("empty");
  card.notice.textContent = panel.notice;
  card.heading.textContent = panel.title;
  card.standsIn.textContent = panel.stands_in_for && `in place of ${panel.stands_in_for}`;
  drawHeat(card.heat, image);
  const [left, top, right, bottom] = panel.box;
  card.seen.style.inset =
    `${100 * top}% ${100 * (1 - right)}% ${100 * (1 - bottom)}% ${100 * left}%`;
  card.seen.hidden = false;
  card.heat.setAttribute(
    "aria-label",
    `Heat of ${panel.title} for the class ${panel.target.name}: ${panel.how}`,
  );
  card.explained.replaceChildren(
    "explains ",
    node("strong", "", panel.target.name),
    " ",
    node("span", "how-probable", `${percent(panel.target.probability)}, rank ${panel.rank}`),
  );
  card.how.textContent = card.how.title = panel.how;
  if (panel.degenerate) card.status.textContent = panel.degenerate;
  panel.top.forEach((prediction, i) => {
    const row = card.rows.children[i];
    row.className = prediction.index === panel.target.index ? "explains" : "";
    row.children[0].textContent = row.children[0].title = prediction.name;
    row.children[1].textContent = percent(prediction.probability);
    row.children[2].style.setProperty("--share", prediction.probability);
  });
}

// Grey levels of heat to colours: `props.colors` has 256 RGBA entries.
function drawHeat(canvas, image) {
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = pixelsOf(canvas);
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    pixels.data.set(props.colors[pixels.data[i]], i);
  }
  context.putImageData(pixels, 0, 0);
}

// What is seen, as one picture of the photo's size on the page.
function download(card) {
  if (!card.data) return;
  const canvas = node("canvas");
  canvas.width = photo.width;
  canvas.height = photo.height;
  const context = canvas.getContext("2d");
  const everywhere = [0, 0, canvas.width, canvas.height];
  context.drawImage(card.photo, ...everywhere);
  const [left, top, right, bottom] = card.data.box;
  const unseen = new Path2D();
  unseen.rect(...everywhere);
  unseen.rect(
    left * canvas.width,
    top * canvas.height,
    (right - left) * canvas.width,
    (bottom - top) * canvas.height,
  );
  context.fillStyle = `rgb(0 0 0 / ${props.dimming})`;
  context.fill(unseen, "evenodd");
  context.globalAlpha = Number(root.style.getPropertyValue("--opacity"));
  context.drawImage(card.heat, ...everywhere);
  const name = card.data.target.name.toLowerCase().replace(/[^a-z0-9]+/g, "_");
  canvas.toBlob((blob) => {
    const link = node("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${card.model}_${name}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

// A phone may have no full screen for anything but videos: then the panel covers the page.
async function toggleFullScreen(card) {
  const leaving = card.element.classList.contains("covering");
  uncover();
  if (leaving) {
    if (document.fullscreenElement) await document.exitFullscreen();
    return;
  }
  card.element.classList.add("covering");
  try {
    await card.element.requestFullscreen();
  } catch {
    // It stays a cover.
  }
}

function uncover() {
  root.querySelector(".covering")?.classList.remove("covering");
}

document.addEventListener("fullscreenchange", () => {
  if (!document.fullscreenElement) uncover();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") uncover();
});

function render() {
  const shown = props.value;
  if (shown.ticket < ticket) return; // a late answer to an earlier question
  ticket = shown.ticket;
  if (shown.message || !shown.panels.length) {
    cards.clear();
    const message = node("p", shown.problem ? "message problem" : "message", shown.message);
    if (shown.problem) message.setAttribute("role", "alert");
    root.replaceChildren(message);
    return;
  }
  if (shown.photo_id !== photo.id) return; // its photo is still to come
  root.querySelector(":scope > .message")?.remove();
  for (const [model, card] of cards) {
    if (shown.panels.some((panel) => panel.model === model)) continue;
    card.element.remove();
    cards.delete(model);
  }
  for (const panel of shown.panels) {
    if (!cards.has(panel.model)) cards.set(panel.model, makeCard(panel.model));
    const card = cards.get(panel.model);
    showPhoto(card);
    showPanel(card, panel);
  }
  const order = shown.panels.map((panel) => cards.get(panel.model).element);
  if (order.some((child, i) => root.children[i] !== child)) root.append(...order);
  root.style.setProperty("--count", order.length);
}

root.style.setProperty("--opacity", props.opacity);
root.style.setProperty("--dimming", props.dimming);
window.addEventListener("opacity", (event) => {
  root.style.setProperty("--opacity", event.detail);
});
window.addEventListener("photo", (event) => {
  if (event.detail.ticket < photo.ticket) return; // decoded late, another one is shown
  photo = event.detail;
  render();
});
watch("value", render);
render();
