// The dialog for a visitor's own network, dropped on the page: shows what its file contains, and asks for what it lacks.

import { h } from "../core/elements.js";
import { copied, dialog } from "../dom.js";
import { askOfNetwork, sendNetworkFile } from "../requests.js";

const field = (label, control, note) =>
  h("label", {}, h("span", {}, label), control, note ? h("small", {}, note) : "");

export class OwnNetwork {
  /** add(name, page): adds a network to the page, see demo/server/own_networks.py. */
  constructor(add) {
    this.add = add;
    const text = (attributes) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...attributes });
    this.title = text({ required: true, maxlength: 64 });
    this.labels = h("textarea", { rows: 3, spellcheck: "false" });
    this.labelsFrom = h("small", {});
    this.architecture = text({ placeholder: "as the file says" });
    this.size = text({ placeholder: "as the file says, or as published" });
    this.mean = text({ placeholder: "as the file says, or as published" });
    this.std = text({ placeholder: "the same" });
    this.prefix = text({ placeholder: "none" });
    this.sigmoid = h("input", { type: "checkbox" });
    this.status = h("p", { role: "status", class: "status" });
    this.found = h("dl", { class: "found" });
    this.button = h("button", { type: "submit", class: "action primary", disabled: true }, "Add this network");
    this.more = h(
      "details",
      {},
      h("summary", {}, "More settings, if the file lacks them"),
      field("Architecture", this.architecture, "a timm name, or torchvision:resnet18"),
      field("Input size", this.size, "224, or 256x128 (height first)"),
      field("Mean", this.mean, "of the input channels, from 0 to 1: 0.5, or 0.485/0.456/0.406"),
      field("Standard deviation", this.std),
      field("Prefix", this.prefix, "if the file holds several networks: what the tensor names of yours begin with"),
      h("label", { class: "check" }, this.sigmoid, "Each class has its own probability (sigmoid)"),
    );
    this.form = h(
      "form",
      { class: "own-network" },
      this.status,
      field("Title", this.title),
      h("label", {}, h("span", {}, "Classes, one per line"), this.labels, this.labelsFrom),
      this.more,
      this.found,
      this.button,
    );
    this.form.addEventListener("change", () => this.look());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.keep();
    });
    this.lines = h("textarea", { readonly: true, rows: 6, "aria-label": "Lines of networks.toml", spellcheck: "false" });
    this.copiedText = h("span", { role: "status", class: "subtle" });
    this.done = h(
      "div",
      { class: "own-network" },
      h("p", {}, "It stands beside the others until the app ends. To keep it, add this to networks.toml:"),
      this.lines,
      h("button", { type: "button", class: "action", onclick: () => this.copy() }, "Copy"),
      this.copiedText,
    );
    this.element = dialog("Your network", this.form, this.done);
  }

  /** weights, labels: files; labels is undefined if there is none. */
  async take(weights, labels) {
    this.form.reset();
    this.form.hidden = false;
    this.done.hidden = true;
    this.more.open = false;
    this.title.value = weights.name.replace(/\.[^.]*$/, "").replaceAll("_", " ").slice(0, 64);
    this.labelsFrom.textContent = `empty: ${labels ? `from ${labels.name}` : "as the file says, or class 0, class 1, …"}`;
    this.files = undefined;
    this.found.replaceChildren();
    this.button.disabled = true;
    this.element.showModal();
    this.say(`Reading ${weights.name} …`);
    try {
      const [file, labels_file] = await Promise.all([weights, labels].map((one) => one && sendNetworkFile(one)));
      this.files = { file, labels_file: labels_file ?? null };
    } catch (error) {
      this.say(error.message, true);
      return;
    }
    await this.look();
  }

  request(keep) {
    const given = (input) => input.value.trim() || null;
    const labels = given(this.labels);
    return {
      file: this.files.file,
      labels_file: labels === null ? this.files.labels_file : null,
      title: this.title.value,
      labels,
      architecture: given(this.architecture),
      size: given(this.size),
      mean: given(this.mean),
      std: given(this.std),
      prefix: given(this.prefix),
      sigmoid: this.sigmoid.checked,
      keep,
    };
  }

  async look() {
    if (!this.files) return;
    const requested = (this.requested = JSON.stringify(this.request(false)));
    this.say("Looking into the file …");
    this.button.disabled = true;
    const { found, problem } = await askOfNetwork(this.request(false));
    if (requested !== this.requested) return; // the visitor has changed something meanwhile
    this.showFound(found);
    this.say(problem ?? found.notice, Boolean(problem));
    this.button.disabled = Boolean(problem);
    if (problem) this.more.open = true;
  }

  async keep() {
    if (!this.files || this.button.disabled) return;
    this.button.disabled = true;
    const { network, page, toml, problem } = await askOfNetwork(this.request(true));
    if (problem) {
      this.say(problem, true);
      return;
    }
    this.form.hidden = true;
    this.done.hidden = false;
    this.copiedText.textContent = "";
    this.lines.value = toml;
    this.add(network, page);
  }

  showFound(found) {
    if (!found) {
      this.found.replaceChildren();
      return;
    }
    const { architecture, classes, names, channels, size, layer, independent } = found;
    const [height, width] = size.split("x");
    const rest = classes > names.length ? ", …" : "";
    const rows = [
      ["Architecture", architecture],
      [`${classes} classes`, `${names.join(", ")}${rest}`],
      ["Input", `${width} × ${height} pixels, ${channels === 1 ? "grey" : "colours"}`],
      ["Layer explained", layer],
      ["Probabilities", independent ? "each class has its own" : "the classes share one"],
    ];
    this.found.replaceChildren(...rows.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
  }

  say(text, isProblem = false) {
    this.status.textContent = text;
    this.status.classList.toggle("problem", isProblem);
  }

  async copy() {
    this.lines.select();
    this.copiedText.textContent = (await copied(this.lines.value)) ? "Copied." : "Selected: copy it with Ctrl+C.";
  }
}
