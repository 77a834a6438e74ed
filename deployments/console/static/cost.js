// The same network on several devices side by side, and what a million answers cost on each at the prices typed here.

import { h, replace } from "./dom.js";
import { dollars, ms, number, percent, recent } from "./format.js";
import { runsOn } from "./overview.js";
import { deviceOf, fits, perMillion } from "./prices.js";

const KEY = "pitstop-prices";
/** The panel of one model: a column for it, and one for each other model of the same source. */
export class Cost {
  constructor() {
    this.body = h("div", { class: "scroll" });
    this.title = h("h3", {});
    this.hint = h("p", { class: "hint" });
    this.element = h("section", { class: "panel", id: "cost" }, this.title, this.hint, this.body);
    this.typed = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  }

  update(model, data, metadata) {
    this.prices = data.prices;
    this.columns = data.models
      .filter((each) => each.name === model.name || (each.source && each.source === model.source))
      .map((each) => ({ model: each, metadata: metadata.get(each.name) }))
      .filter((each) => each.metadata);
    const several = this.columns.length > 1;
    replace(this.title, several ? "The same network side by side, and its cost" : "Cost");
    replace(
      this.hint,
      several
        ? "These applications serve the same source; they differ in device or settings."
        : "Another application with the same source, on another device, would stand beside it here.",
    );
    // While somebody types, the fields stay as they are.
    if (this.body.contains(document.activeElement) && this.shown === this.names()) this.figures();
    else this.draw();
  }

  names() {
    return this.columns.map((each) => each.model.name).join();
  }

  draw() {
    this.shown = this.names();
    this.cells = [];
    const line = (label, cell, hint) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, label, hint ? h("span", { class: "hint" }, hint) : null),
        this.columns.map((column) => h("td", {}, cell(column))),
      );
    const live = (make) => (column) => {
      const element = h("span", {});
      const now = () => this.columns.find((each) => each.model.name === column.model.name) ?? column;
      this.cells.push(() => replace(element, make(now())));
      return element;
    };
    const head = h(
      "tr",
      {},
      h("td", {}),
      this.columns.map(({ model }) => h("th", { scope: "col" }, model.name)),
    );
    const rows = [
      line("Runs on", ({ metadata }) => runsOn(metadata)),
      line("Device", ({ metadata }) => deviceOf(metadata).name ?? metadata.properties.device),
      line(
        "Rows a second, raw",
        ({ metadata }) => number(deviceOf(metadata).rows_s),
        "measured at the start, best batch; higher is better",
      ),
      line(
        "Rows a second, now",
        live(({ model }) => number(recent(model.series.rows_per_s))),
      ),
      line(
        "p50 / p99, now",
        live(({ model }) => `${ms(recent(model.series.p50_ms))} / ${ms(recent(model.series.p99_ms))}`),
        "lower is better",
      ),
      line(
        "Share of the raw forward",
        live(({ model }) => percent(recent(model.series.efficiency))),
        "higher is better",
      ),
      line("Machine", (column) => this.machine(column)),
      line("Price of it, $ an hour", (column) => this.input(column, "price", 0.0001)),
      line("Replicas on it", (column) => this.input(column, "replicas", 1)),
      line(
        "A million answers, busy",
        live((column) => this.busyCell(column)),
        "at the raw rate, every replica busy; lower is better",
      ),
      line(
        "A million answers, now",
        live((column) => dollars(this.current(column))),
        "at the present rate; lower is better",
      ),
    ];
    replace(this.body, h("table", { class: "sides" }, h("thead", {}, head), h("tbody", {}, rows)));
    this.figures();
  }

  figures() {
    this.cells.forEach((cell) => cell());
  }

  busyCell(column) {
    const costs = this.columns.map((each) => this.busy(each)).filter((cost) => cost !== null);
    const least = costs.length > 1 && this.busy(column) === Math.min(...costs);
    const figure = h("strong", { "data-cost": column.model.name }, dollars(this.busy(column)));
    return h("span", {}, figure, least ? h("span", { class: "badge good beside" }, "cheapest") : null);
  }

  busy(column) {
    const { price, replicas } = this.values(column);
    return perMillion(price, 1 / replicas, deviceOf(column.metadata).rows_s);
  }

  current(column) {
    const { price, replicas } = this.values(column);
    return perMillion(price, column.model.replicas / replicas, recent(column.model.series.rows_per_s));
  }

  values(column) {
    const machine = this.prices[this.machineOf(column)];
    const onGpu = column.metadata.properties.device === "cuda";
    const fit = onGpu ? 1 / column.model.num_gpus : (machine?.vcpus ?? 1) / Math.max(1, column.model.num_cpus);
    return {
      price: machine?.usd_per_hour ?? 1,
      replicas: Math.max(1, Math.floor(fit)),
      ...this.typed[column.model.name],
    };
  }

  machineOf(column) {
    const chosen = this.typed[column.model.name]?.machine;
    const index = this.prices.findIndex((each) => (chosen ? each.instance === chosen : fits(each, column.metadata)));
    return index >= 0
      ? index
      : this.prices.findIndex((each) => Boolean(each.accelerator) === (column.metadata.properties.device === "cuda"));
  }

  machine(column) {
    if (!this.prices.length) return "–";
    const options = this.prices.map((each, index) =>
      h(
        "option",
        { value: each.instance, selected: index === this.machineOf(column) },
        `${each.instance} (${each.accelerator ?? `${each.vcpus} vCPUs`})`,
      ),
    );
    const change = (event) => {
      this.typed[column.model.name] = { machine: event.target.value };
      this.keep();
      this.draw();
      this.body.querySelector(`select[data-model="${CSS.escape(column.model.name)}"]`)?.focus();
    };
    return h(
      "select",
      { "data-model": column.model.name, "aria-label": `Machine for ${column.model.name}`, change },
      options,
    );
  }

  input(column, key, least) {
    const type = (event) => {
      const value = Number(event.target.value);
      if (value >= least) {
        this.typed[column.model.name] = { ...this.typed[column.model.name], [key]: value };
        this.keep();
        this.figures();
      }
    };
    const label = `${key === "price" ? "Dollars an hour" : "Replicas on a machine"} for ${column.model.name}`;
    return h("input", {
      type: "number",
      min: least,
      step: "any",
      value: this.values(column)[key],
      "aria-label": label,
      "data-input": `${key}-${column.model.name}`,
      input: type,
    });
  }

  keep() {
    localStorage.setItem(KEY, JSON.stringify(this.typed));
  }
}
