// Line charts by hand: a title with its unit, what is good, a limit, and a cursor for pointer and arrow keys.

import { h, replace, svg } from "./dom.js";
import { clock, recent } from "./format.js";
import { areaOf, path, spanOf } from "./lines.js";

const HEIGHT = 132;
const LEFT = 44;
const BOTTOM = 18;
const TOP = 8;

/**
 * A chart. `spec` has id, title, unit, good (what to hope for) and format; `least` is the smallest top of the axis,
 * `counts` says that a mean of its values would say nothing. `update` takes lines, [{label, kind, values}], and a limit,
 * {value, label, always} or null: without `always` it is shown once half of it is reached.
 */
export class Chart {
  constructor(spec) {
    this.spec = spec;
    this.cursor = null;
    this.readout = h("p", { class: "readout" });
    this.plot = svg("svg", { class: "plot", tabindex: "0", role: "img", height: HEIGHT });
    this.element = h(
      "figure",
      { class: "chart", "data-chart": spec.id },
      h("figcaption", {}, h("h4", {}, spec.title, " ", h("span", { class: "unit" }, spec.unit)), this.readout),
      this.plot,
      h("p", { class: "good" }, spec.good),
    );
    this.plot.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.plot.addEventListener("pointerleave", () => this.move(null));
    this.plot.addEventListener("blur", () => this.move(null));
    this.plot.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  update(at, lines, limit, now) {
    Object.assign(this, { at, lines, limit, now });
    this.draw();
  }

  draw() {
    const width = this.plot.clientWidth;
    if (!width || !this.at) return;
    const top = niceTop(this.lines, this.limit, this.spec.least ?? 0);
    const [minutes, marks] = spanOf(this.at, this.now);
    const x = (at) => LEFT + ((at - this.now) / (60 * minutes) + 1) * (width - LEFT - 6);
    const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
    this.x = x;
    this.plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    replace(
      this.plot,
      grid(width, top, y, x, this.now, marks, this.spec.format),
      limitLine(this.limit, top, width, y),
      this.paths(x, y),
      this.crosshair(x, y),
    );
    this.tell();
  }

  paths(x, y) {
    return this.lines.map((line) => {
      const d = path(this.at, line.values, x, y);
      const area =
        this.lines.length === 1
          ? svg("path", { class: `area ${line.kind}`, d: areaOf(this.at, line.values, x, y, HEIGHT - BOTTOM) })
          : null;
      return [area, svg("path", { class: `line ${line.kind}`, d })];
    });
  }

  crosshair(x, y) {
    if (this.cursor === null || this.at[this.cursor] === undefined) return null;
    const at = x(this.at[this.cursor]);
    const dots = this.lines.filter((line) => line.values[this.cursor] !== null);
    return [
      svg("line", { class: "cursor", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }),
      dots.map((line) => svg("circle", { class: `dot ${line.kind}`, cx: at, cy: y(line.values[this.cursor]), r: 3.5 })),
    ];
  }

  tell() {
    const { format } = this.spec;
    // Without a cursor it is the mean of the last 15 s, as in the list of models; of counts it is the last one.
    const newest = (line) => (this.spec.counts ? (line.values.at(-1) ?? null) : recent(line.values));
    const value = (line) => (this.cursor === null ? newest(line) : (line.values[this.cursor] ?? null));
    const figures = this.lines.map((line) => [line, format(value(line))]);
    const shown = figures.map(([line, text]) =>
      h("span", { class: `figure ${line.kind}` }, line.label ? h("i", {}, line.label) : null, text),
    );
    replace(
      this.readout,
      this.cursor === null ? null : h("span", { class: "when" }, clock(this.at[this.cursor])),
      shown,
    );
    const now = figures.map(([line, text]) => `${line.label} ${text}`.trim()).join(", ");
    this.plot.setAttribute(
      "aria-label",
      `${this.spec.title} in ${this.spec.unit}, last 15 minutes; now ${now || "nothing"}`,
    );
  }

  point(offset) {
    if (!this.at?.length) return;
    const nearest = this.at.reduce(
      (best, at, index) => (Math.abs(this.x(at) - offset) < Math.abs(this.x(this.at[best]) - offset) ? index : best),
      0,
    );
    this.move(nearest);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.at?.length) return;
    event.preventDefault();
    this.move(Math.min(this.at.length - 1, Math.max(0, (this.cursor ?? this.at.length - 1) + step)));
  }

  move(cursor) {
    if (cursor === this.cursor) return;
    this.cursor = cursor;
    this.draw();
  }
}

function grid(width, top, y, x, now, marks, format) {
  const levels = [0, top / 2, top].map((value) => [
    svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) }),
    svg(
      "text",
      { class: "tick", x: LEFT - 6, y: y(value) + 3.5, "text-anchor": "end" },
      format(value).replace(" %", "%"),
    ),
  ]);
  const times = marks.map((minutes, index) => {
    const anchor = index === 0 ? "start" : minutes ? "middle" : "end";
    const at = Math.min(x(now - 60 * minutes), width - 2);
    return svg(
      "text",
      { class: "tick", x: at, y: HEIGHT - 4, "text-anchor": anchor },
      minutes ? `−${minutes} min` : "now",
    );
  });
  return [levels, times];
}

function limitLine(limit, top, width, y) {
  if (!limit || limit.value > top) return null;
  const at = y(limit.value);
  return [
    svg("line", { class: "limit", x1: LEFT, x2: width, y1: at, y2: at }),
    svg(
      "text",
      { class: "limit-label", x: width - 4, y: at < 20 ? at + 11 : at - 4, "text-anchor": "end" },
      limit.label,
    ),
  ];
}

/** Return the top of the axis: 1, 2, 2.5 or 5 times a power of ten. A limit is shown once half of it is reached. */
function niceTop(lines, limit, least) {
  const most = Math.max(least, ...lines.flatMap((line) => line.values.map((value) => value ?? 0)));
  const wanted = limit && (limit.always || most > limit.value / 2) ? Math.max(most, limit.value) : most;
  if (wanted <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 2.5, 5, 10].find((step) => step * unit >= wanted * 0.999) * unit;
}
