// What the start of a model checked and measured: in `properties` of its metadata.

import { h } from "./dom.js";
import { number } from "./format.js";

const MARKS = { passed: "✓", measured: "✓", not_applicable: "–", waived: "!", failed: "✗" };
const KINDS = { passed: "good", measured: "good", not_applicable: "idle", waived: "warn", failed: "bad" };

export function checksOf(metadata) {
  const found = metadata.properties;
  return h(
    "section",
    { class: "panel" },
    h("h3", {}, "What the start checked"),
    h(
      "p",
      { class: "hint" },
      `Checked by ${found.checked_by ?? "this start"}, warm after ${number(found.started_s)} s (${steps(found)}).`,
    ),
    h("ul", { class: "checks" }, (found.checks ?? []).map(line)),
    h("div", { class: "two" }, sizes(found), facts(metadata)),
  );
}

function line(check) {
  return h(
    "li",
    {},
    h(
      "span",
      { class: `mark ${KINDS[check.code]}`, role: "img", "aria-label": check.code.replace("_", " ") },
      MARKS[check.code],
    ),
    h(
      "div",
      {},
      h("b", {}, check.check),
      h("span", {}, check.sentence),
      h("span", { class: "hint" }, ` mistake ${check.mistake}`),
    ),
  );
}

function steps(found) {
  return Object.entries(found.start_s ?? {})
    .map(([step, seconds]) => `${step} ${number(seconds)} s`)
    .join(", ");
}

/** The forward's time at each warmed shape, and the rows a second that follow from it. */
function sizes(found) {
  const timed = Object.entries(found.forward_ms ?? {}).map(([shape, time]) => ({
    shape,
    time,
    rate: (1000 * parseInt(shape, 10)) / time,
  }));
  timed.sort((a, b) => parseInt(a.shape, 10) - parseInt(b.shape, 10));
  const best = Math.max(...timed.map((each) => each.rate));
  const rows = timed.map((each) =>
    h(
      "tr",
      { class: each.rate === best ? "best" : "" },
      h("th", { scope: "row" }, each.shape),
      h("td", {}, `${number(each.time)} ms`),
      h("td", {}, share(each.rate / best), number(each.rate)),
    ),
  );
  const head = h(
    "tr",
    {},
    ["Batch", "Forward", "Rows a second, higher is better"].map((name) => h("th", { scope: "col" }, name)),
  );
  return h(
    "table",
    { class: "sizes" },
    h("caption", {}, "The raw forward at each warmed size"),
    h("thead", {}, head),
    h("tbody", {}, rows),
  );
}

function facts(metadata) {
  const found = metadata.properties;
  const shown = {
    Version: metadata.versions.join(", "),
    Device: `${found.device}, asked for ${found.device_asked}`,
    Fallback: found.fallback,
    Backend: `${found.backend}, asked for ${found.backend_asked}`,
    Precision: found.precision,
    "Batch sizes": found.batch_sizes.join(", "),
    "Largest batch": `${found.max_batch_size} rows`,
    Inputs: metadata.inputs.map(tensor).join("; "),
    Outputs: metadata.outputs.map(tensor).join("; "),
  };
  const candidates = (found.candidates ?? []).map(candidate);
  return h(
    "div",
    {},
    h(
      "dl",
      { class: "facts" },
      Object.entries(shown)
        .filter(([, value]) => value)
        .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    candidates.length
      ? [h("h4", {}, "Candidates that were compared"), h("ul", { class: "plain candidates" }, candidates)]
      : null,
  );
}

function tensor(each) {
  return `${each.name} ${each.datatype} [${each.shape.join(", ")}]`;
}

function candidate({ backend, precision, outcome, rows_s: rate, reason }) {
  const chosen = outcome === "chosen";
  return h(
    "li",
    {},
    h("b", {}, `${backend} ${precision}`),
    h("span", { class: `badge ${chosen ? "good" : ""}` }, outcome.replaceAll("_", " ")),
    rate ? h("span", {}, `${number(rate)} rows/s`) : null,
    reason ? h("span", { class: "hint" }, reason) : null,
  );
}

function share(part) {
  const bar = h("span", { class: "share", "aria-hidden": "true" }, h("span", {}));
  bar.firstChild.style.width = `${100 * part}%`;
  return bar;
}
