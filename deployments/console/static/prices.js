// Which machine a model would run on, and what a million of its answers cost there.

const HOUR_S = 3600;
const MILLION = 1e6;

/** Return what a million rows cost, in dollars. `share` is how much of the machine is paid for. */
export function perMillion(usdPerHour, share, rowsPerSecond) {
  return rowsPerSecond > 0 ? ((usdPerHour * share) / (rowsPerSecond * HOUR_S)) * MILLION : null;
}

/** Return what the start said of a model's device: its name, and the rows a second that it measured. */
export function deviceOf(metadata) {
  return metadata.properties.checks?.find((each) => each.check === "device") ?? {};
}

/** Whether a machine is the one to begin with. */
export function fits(price, metadata) {
  if (metadata.properties.device !== "cuda") return !price.accelerator && price.vcpus === 8;
  return price.accelerator && (deviceOf(metadata).name ?? "").includes(price.accelerator);
}
