// What the report says about the whole batch, above and below the list.

/** Shows the number of pictures and networks, the settings, errors, and the date of the report. */
function showFacts() {
  document.title = `${counted(COUNT, "picture")} – Grad-CAM, side by side`;
  const failed = pictures.failed.filter(Boolean).length;
  const settings = new Set(index.settings.map((one) => settingsText({ ...one, layer: "" })));
  const written = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
  const facts = [
    counted(COUNT, "picture"),
    counted(new Set(index.networks.map(({ key }) => key)).size, "network"),
    [...settings].join("; "),
    failed ? `${counted(failed, "picture")} with errors` : "no errors",
    `written ${written.format(new Date(index.written))} UTC`,
  ];
  query("#facts").append(...facts.filter(Boolean).map((fact) => h("span", {}, fact)));
  const standIns = [...new Set(index.networks.filter(({ standsInFor }) => standsInFor).map(({ title, standsInFor }) => `${title} for ${standsInFor}`))];
  query("#stand-ins").hidden = !standIns.length;
  query("#stand-ins").textContent = `Stand-ins, because the requested networks were not available: ${standIns.join(", ")}.`;
}

/** Shows the networks, the sources of their weights, and the versions of the software. */
function showProvenance() {
  const counts = new Uint32Array(index.networks.length);
  for (const network of rows.network) if (network >= 0) counts[network]++;
  query("#provenance tbody").append(
    ...index.networks.map(({ title, standsInFor, source, sha256 }, n) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, title),
        h("td", {}, standsInFor ?? "–"),
        h("td", {}, thousands(counts[n])),
        h("td", {}, source ?? "–"),
        h("td", {}, h("code", {}, sha256 ?? "–")),
      ),
    ),
  );
  query("#versions").textContent = index.versions.length ? `Made with ${index.versions.join("; ")}.` : "";
}

/** Explains the words for overlaps. */
function explainGrades() {
  const grades = index.grades.slice(1, -1).map(({ least, words }) => `${words} from ${wholePercentage(least / 100)} on`);
  query("#grades").textContent = [index.grades[0].words, ...grades].join(", ");
  const far = index.grades.filter(({ group }) => group === "different").map(({ words }) => words);
  query("#elsewhere").textContent = far.join(" or ");
}

/** Hides filters that would match nothing in this batch, and fills the list of networks. */
function offerFilters() {
  const keys = new Set(index.networks.map(({ key }) => key));
  query("[name=network]").append(...[...keys].map((key) => h("option", { value: key }, key)));
  const available = {
    difference: pictures.agreement.some((value) => value !== null),
    classes: pictures.rows.some((networks) => networks > 1),
  };
  for (const [name, isAvailable] of Object.entries(available)) {
    if (!isAvailable) query(`option[value=${name}]`).remove();
  }
  query(".difference").hidden = !available.difference;
  query("[name=verdict]").parentElement.hidden = !rows.verdict.some(Boolean);
  query("#labels-note").hidden = !HAS_LABELS;
  for (const name of ["label", "outcome"]) query(`[name=${name}]`).parentElement.hidden = !HAS_LABELS;
  query("[name=differ]").parentElement.hidden = !available.classes;
}

/** Shows what the batch has left out, and why. */
function showSkipped() {
  const total = index.skipped.reduce((sum, { count }) => sum + count, 0);
  query("#skipped").hidden = !total;
  query("#skipped summary").textContent = `Left out: ${thousands(total)} ${total === 1 ? "file or folder" : "files and folders"}`;
  const row = ({ reason, count, names }) => {
    const more = count > names.length ? `${thousands(count - names.length)} more, in skipped.parquet` : [];
    const list = h("ul", {}, ...names.concat(more).map((name) => h("li", {}, name)));
    return h("tr", {}, h("th", { scope: "row" }, reason), h("td", {}, thousands(count)), h("td", {}, list));
  };
  query("#skipped tbody").append(...index.skipped.map(row));
}

/** Shows how many of the labelled pictures each network is right about. */
function showAccuracy() {
  query("#accuracy").hidden = !HAS_LABELS;
  if (!HAS_LABELS) return;
  const counts = new Map(index.networks.map(({ key }) => [key, [0, 0]]));
  rows.outcome.forEach((outcome, row) => {
    if (outcome >= 0) counts.get(networkOf(row).key)[outcome === WRONG ? 0 : 1] += 1;
  });
  let labelled = 0;
  for (let i = 0; i < COUNT; i++) if (labelOf(i) !== undefined) labelled++;
  const facts = [labelled < COUNT ? `${thousands(labelled)} of ${counted(COUNT, "picture")} have a label` : "all pictures have a label"];
  for (const [key, [wrong, correct]] of counts) {
    const all = wrong + correct;
    if (all) facts.push(`${key}: ${countedPercentage(correct, all)} correct (${thousands(correct)} of ${thousands(all)})`);
  }
  query("#accuracy").append(...facts.map((fact) => h("span", {}, fact)));
}
