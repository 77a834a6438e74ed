// Numbers and times as people read them, and means over the newest points of a series.

/** Return a number with three digits at most that count: 12,345, 123, 12.3, 0.012; "–" for none. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(size < 0.001 ? 1 : 3)));
}

export function ms(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1000 ? `${number(value / 1000)} s` : `${number(value)} ms`;
}

export function percent(share) {
  if (share === null || share === undefined) return "–";
  return `${share >= 0.0995 || share === 0 ? Math.round(100 * share) : (100 * share).toFixed(1)} %`;
}

export function dollars(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value >= 100) return `$${Math.round(value).toLocaleString("en-US")}`;
  return `$${value >= 0.1 ? value.toFixed(2) : Number(value.toPrecision(2))}`;
}

/** Return the time of day of a second since 1970. */
export function clock(at) {
  return new Date(1000 * at).toLocaleTimeString([], { hour12: false });
}

/** Return the mean of the last `count` values that are there; null where there is none. */
export function recent(values, count = 3) {
  const found = (values ?? []).slice(-count).filter((value) => value !== null);
  return found.length ? found.reduce((sum, value) => sum + value, 0) / found.length : null;
}

export function sum(values) {
  return (values ?? []).reduce((total, value) => total + (value ?? 0), 0);
}

/** Return all errors of a series, by kind, without the kinds that did not occur. */
export function errorTotals(series) {
  const totals = Object.entries(series.errors ?? {}).map(([kind, counts]) => [kind, sum(counts)]);
  return totals.filter(([, total]) => total > 0).sort((a, b) => b[1] - a[1]);
}
