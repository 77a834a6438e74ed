// An answer as it came, and the parts of its time.

import { h, replace } from "./dom.js";
import { pretty } from "./examples.js";
import { ms, number } from "./format.js";

const PARTS = [
  ["queue", "waited for its batch"],
  ["forward", "in the model's forward"],
  ["rest", "read, hooks, write, in the replica"],
  ["outside", "HAProxy, network and browser"],
];

/** Show the outcome of api.post in an element. */
export async function showAnswer(element, outcome) {
  const { status, headers, blob, tookMs } = outcome;
  const good = status >= 200 && status < 300;
  const kind = headers.get("content-type") ?? "";
  const body = await shown(blob, kind);
  const head = h(
    "p",
    { class: "status" },
    h("span", { class: `badge ${good ? "good" : "bad"}` }, good ? "answered" : "refused", " ", String(status)),
    h("span", { class: "hint" }, `${ms(tookMs)} as this browser saw it`),
  );
  replace(element, head, good ? timeBar(headers.get("server-timing"), tookMs) : null, body);
}

export function showFailure(element, error) {
  replace(
    element,
    h(
      "p",
      { class: "status" },
      h("span", { class: "badge bad" }, "not reached"),
      h("span", {}, String(error.message ?? error)),
    ),
  );
}

/** Return the parts of a Server-Timing header by name, in milliseconds. */
export function timing(header) {
  const found = (header ?? "")
    .split(",")
    .map((part) => part.trim().match(/^([\w-]+);dur=([\d.]+)/))
    .filter(Boolean);
  return Object.fromEntries(found.map(([, name, value]) => [name, Number(value)]));
}

function timeBar(header, tookMs) {
  const found = timing(header);
  if (found.total === undefined) return null;
  const parts = { ...found, outside: Math.max(0, tookMs - found.total) };
  const known = PARTS.filter(([name]) => parts[name] !== undefined);
  const segments = known.map(([name]) => {
    const segment = h("span", { class: `segment ${name}`, title: `${name} ${ms(parts[name])}` });
    segment.style.flexGrow = String(parts[name]);
    return segment;
  });
  const legend = known.map(([name, what]) =>
    h(
      "li",
      {},
      h("span", { class: `swatch ${name}`, "aria-hidden": "true" }),
      h("b", {}, name),
      ` ${ms(parts[name])} `,
      h("span", { class: "hint" }, what),
    ),
  );
  return h(
    "div",
    { class: "times" },
    h("div", { class: "bar", "aria-hidden": "true" }, segments),
    h("ul", { class: "legend" }, legend),
  );
}

async function shown(blob, kind) {
  if (kind.startsWith("image/"))
    return h("img", { class: "picture", src: await dataUrl(blob), alt: "the model's answer" });
  if (!/json|text/.test(kind)) return h("p", {}, `${number(blob.size)} bytes of ${kind || "no named type"}`);
  const text = await blob.text();
  return h("pre", { class: "answer", tabindex: "0" }, kind.includes("json") ? tidy(text) : text);
}

function tidy(text) {
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}

/** Return a file as a data URL: the page's policy lets no picture come from anywhere else. */
export function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
