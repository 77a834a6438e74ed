// The first thing an operator wants: is everything up, how much is asked, how long does it take, does anything fail.

import { h, replace } from "./dom.js";
import { errorTotals, ms, number, percent, recent, sum } from "./format.js";
import { sparkline } from "./lines.js";

// As the metadata has them, and as people know them.
const BACKENDS = { script: "TorchScript", trace: "TorchScript", aoti: "AOTInductor" };
const COLUMNS = [
  "Model",
  "Runs on",
  "Requests/s",
  "p50",
  "p99",
  "Waiting",
  "Batch fill",
  "Of raw forward",
  "Errors, 15 min",
  "Replicas",
];

export function drawOverview(section, data, metadata, selected) {
  replace(section, tiles(data.models), table(data, metadata, selected));
}

/** Return good, warn or bad for a model's dot, and a word for it. */
export function health(model) {
  if (model.ready && !model.replicas) return ["idle", "scaled to zero"];
  if (model.ready && !model.asked.error) return ["good", "ready"];
  if (model.ready) return ["warn", model.asked.error];
  return [model.state === "UNAVAILABLE" ? "bad" : "warn", model.reason || model.state.toLowerCase()];
}

export function runsOn(metadata) {
  const found = metadata?.properties;
  if (!found) return "–";
  const device = found.device === "cuda" ? "GPU" : found.device.toUpperCase();
  return `${device} · ${BACKENDS[found.backend] ?? found.backend} · ${found.precision}`;
}

function tiles(models) {
  const ready = models.filter((model) => model.ready).length;
  const worst = Math.max(-1, ...models.map((model) => recent(model.series.p99_ms, 6) ?? -1));
  const errors = sum(models.map((model) => sum(errorTotals(model.series).map(([, total]) => total))));
  const kind = ready === models.length ? "good" : "bad";
  return h(
    "div",
    { class: "tiles" },
    tile(
      "Models ready",
      `${ready} of ${models.length}`,
      ready === models.length ? "all answer" : "see the list below",
      kind,
    ),
    tile(
      "Requests a second",
      number(sum(models.map((model) => recent(model.series.requests_per_s)))),
      "all models, last 15 s",
    ),
    tile("Slowest p99", ms(worst < 0 ? null : worst), "lower is better, last 30 s"),
    tile(
      "Rows that wait",
      number(sum(models.map((model) => model.series.waiting_rows?.at(-1)))),
      "lower is better, now",
    ),
    tile("Errors", number(errors), "last 15 min", errors ? "warn" : "good"),
  );
}

function tile(name, value, hint, kind = "") {
  return h(
    "div",
    { class: `tile ${kind}` },
    h("span", { class: "name" }, name),
    h("strong", {}, value),
    h("span", { class: "hint" }, hint),
  );
}

function table(data, metadata, selected) {
  const head = h(
    "tr",
    {},
    COLUMNS.map((name) => h("th", { scope: "col" }, name)),
  );
  const rows = data.models.map((model) => row(model, metadata.get(model.name), model.name === selected, data.at));
  const title = h(
    "h3",
    { id: "overview-title" },
    "Models ",
    h("span", { class: "hint" }, "figures of the last 15 s; choose one for its charts"),
  );
  return h(
    "div",
    { class: "card scroll" },
    title,
    h("table", { class: "models" }, h("thead", {}, head), h("tbody", {}, rows)),
  );
}

function row(model, metadata, selected, now) {
  const { series } = model;
  const [kind, word] = health(model);
  const errors = errorTotals(series);
  const cells = [
    [runsOn(metadata)],
    [
      h(
        "span",
        { class: "with-spark" },
        series.at.length ? sparkline(series.at, series.requests_per_s, now) : null,
        number(recent(series.requests_per_s)),
      ),
    ],
    [ms(recent(series.p50_ms))],
    [ms(recent(series.p99_ms))],
    [series.at.length ? `${number(series.waiting_rows.at(-1))} rows` : "–"],
    [model.forwards_here ? percent(recent(series.full)) : "–"],
    [percent(recent(series.efficiency))],
    [
      errors.length
        ? h(
            "span",
            { class: "badge bad", title: errors.map(([name, total]) => `${name} ${total}`).join(", ") },
            number(sum(errors.map(([, total]) => total))),
          )
        : "0",
    ],
    [replicas(model)],
  ];
  return h(
    "tr",
    { class: selected ? "selected" : "", "data-model": model.name },
    h(
      "th",
      { scope: "row" },
      h(
        "a",
        { href: `#${encodeURIComponent(model.name)}`, "aria-current": selected ? "true" : false },
        h("span", { class: `state ${kind}`, role: "img", "aria-label": word, title: word }),
        model.name,
      ),
      kind === "good" ? null : h("span", { class: "hint" }, word),
      model.canary ? h("span", { class: "badge beside" }, "canary") : null,
    ),
    cells.map((cell, index) => h("td", { "data-label": COLUMNS[index + 1] }, cell)),
  );
}

function replicas(model) {
  const { answered, of } = model.asked;
  return answered && answered < of ? `${model.replicas} (figures of ${answered})` : number(model.replicas);
}
