// The charts of one model over the last 15 minutes.

import { Chart } from "./charts.js";
import { h, replace } from "./dom.js";
import { ms, number, percent } from "./format.js";

const ERROR_KINDS = ["bad", "d", "c", "b", "a"];

const one = (key) => (series) => [{ label: "", kind: "a", values: series[key] }];

const CHARTS = [
  {
    id: "requests",
    title: "Requests",
    unit: "a second",
    good: "What clients send",
    format: number,
    lines: one("requests_per_s"),
  },
  {
    id: "latency",
    title: "Latency",
    unit: "ms, in the replica",
    good: "Lower is better. From the queue to the answer, without the network",
    format: ms,
    lines: (series) => [
      { label: "p99 ", kind: "b", values: series.p99_ms },
      { label: "p50 ", kind: "a", values: series.p50_ms },
    ],
    limit: ({ limits, targets }) =>
      targets?.p99_ms
        ? { value: targets.p99_ms, label: "targets.p99_ms", always: true }
        : limits && { value: 1000 * limits.request_timeout_s, label: "request_timeout_s" },
  },
  {
    id: "waiting",
    title: "Rows that wait",
    unit: "rows, the most seen",
    good: "Lower is better. At max_queue_size requests get 503",
    format: number,
    lines: one("waiting_rows"),
    counts: true,
    limit: ({ limits }) => limits && { value: limits.max_queue_size, label: "max_queue_size" },
    least: 4,
  },
  {
    id: "queue",
    title: "Time in the queue",
    unit: "ms, mean of the rows",
    good: "Lower is better. More replicas shorten it",
    format: ms,
    lines: one("queue_ms"),
    limit: ({ targets }) => targets?.queue_ms && { value: targets.queue_ms, label: "targets.queue_ms", always: true },
  },
  {
    id: "batches",
    title: "Batch fill",
    unit: "% of the rows",
    good: "Higher is better under load. The limit is max_batch_size; with few requests batches are small",
    format: percent,
    lines: (series) => [
      { label: "of the limit ", kind: "b", values: series.full },
      { label: "not padding ", kind: "a", values: series.not_padding },
    ],
    limit: () => ({ value: 1, label: "full", always: true }),
    here: true,
  },
  {
    id: "efficiency",
    title: "Share of the raw forward",
    unit: "% of its rows a second",
    good: "Higher is better under load. 100 % is the forward alone, as the start timed it",
    format: percent,
    lines: one("efficiency"),
    limit: () => ({ value: 1, label: "the forward alone", always: true }),
    here: true,
  },
  {
    id: "busy",
    title: "Time in forwards",
    unit: "% of the replicas' time",
    good: "Below 80 % there is room for bursts",
    format: percent,
    lines: one("busy"),
    limit: () => ({ value: 0.8, label: "80 %", always: true }),
    here: true,
  },
  {
    id: "errors",
    title: "Errors",
    unit: "in 5 s, by kind",
    good: "Lower is better. Requests refused or failed",
    format: number,
    lines: ({ at, errors }) => {
      const kinds = Object.entries(errors);
      if (!kinds.length) return [{ label: "", kind: "a", values: at.map(() => 0) }];
      return kinds.map(([kind, values], index) => ({
        label: `${kind} `,
        kind: ERROR_KINDS[index % ERROR_KINDS.length],
        values,
      }));
    },
    counts: true,
    least: 4,
  },
  {
    id: "replicas",
    title: "Replicas",
    unit: "that answered",
    good: "As many as are running",
    format: number,
    lines: one("replicas"),
    counts: true,
    least: 2,
  },
];

/** The charts, kept from one reading to the next, so that a cursor stays where it is. */
export class Live {
  constructor() {
    this.charts = CHARTS.map((spec) => [spec, new Chart(spec)]);
    this.note = h("p", { class: "hint" });
    this.element = h(
      "section",
      { class: "panel" },
      h("h3", {}, "Last 15 minutes"),
      this.note,
      h(
        "div",
        { class: "charts" },
        this.charts.map(([, chart]) => chart.element),
      ),
    );
  }

  update(model, now) {
    const { series, asked } = model;
    replace(this.note, noteOn(model));
    for (const [spec, chart] of this.charts) {
      chart.element.hidden = !series.at.length || (spec.here && !model.forwards_here);
      if (!chart.element.hidden) chart.update(series.at, spec.lines(series), spec.limit?.(model) ?? null, now);
    }
    this.element.classList.toggle("empty", !asked.answered);
  }
}

function noteOn(model) {
  const { answered, of, error } = model.asked;
  if (error) return `No figures: ${error}.`;
  if (!answered) return "No replica runs, so there are no figures.";
  const parts = [];
  if (answered < of) parts.push(`The figures are of ${answered} of ${of} replicas.`);
  if (!model.forwards_here)
    parts.push(
      "Ingress replicas answer this model: the figures are theirs, and a forward is a block on its way to a device and back.",
    );
  return (
    parts.join(" ") ||
    `Samples of 5 s, of ${answered === 1 ? "the one replica" : `all ${answered} replicas`} together. Point at a chart, or use the arrow keys on it.`
  );
}
