// Lines of samples over time, as SVG paths, and small ones for a table.

import { svg } from "./dom.js";

// The time axis grows with what there is to show: minutes, and where its marks are.
const SPANS = [
  [2, [2, 1, 0]],
  [5, [5, 4, 3, 2, 1, 0]],
  [15, [15, 10, 5, 0]],
];
const GAP_S = 16; // Three samples: a longer time without one breaks the line.
/** Return a small line without axes, for a table. */
export function sparkline(at, values, now) {
  const [width, height] = [96, 24];
  const top = Math.max(1e-9, ...values.map((value) => value ?? 0));
  const x = (each) => ((each - now) / (60 * spanOf(at, now)[0]) + 1) * width;
  const y = (value) => height - 2 - (value / top) * (height - 4);
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    svg("path", { class: "area a", d: areaOf(at, values, x, y, height) }),
    svg("path", { class: "line a", d: path(at, values, x, y) }),
  );
}

function runs(at, values) {
  const found = [];
  let run = [];
  values.forEach((value, index) => {
    if (run.length && (value === null || at[index] - at[run.at(-1)] > GAP_S)) {
      found.push(run);
      run = [];
    }
    if (value !== null) run.push(index);
  });
  return run.length ? [...found, run] : found;
}

export function path(at, values, x, y) {
  // A point alone is a dot: a line of no length with round ends.
  return runs(at, values)
    .map(
      (run) =>
        `M${run.map((index) => `${x(at[index]).toFixed(1)} ${y(values[index]).toFixed(1)}`).join("L")}${run.length === 1 ? "h0" : ""}`,
    )
    .join("");
}

export function areaOf(at, values, x, y, floor) {
  return runs(at, values)
    .map(
      (run) =>
        `M${x(at[run[0]]).toFixed(1)} ${floor}L${run.map((index) => `${x(at[index]).toFixed(1)} ${y(values[index]).toFixed(1)}`).join("L")}L${x(at[run.at(-1)]).toFixed(1)} ${floor}Z`,
    )
    .join("");
}

/** Return the minutes that the time axis has, and its marks. */
export function spanOf(at, now) {
  return SPANS.find(([minutes]) => now - at[0] <= 60 * minutes) ?? SPANS.at(-1);
}
