// Asks the server, with the token of this tab if there is one.

const KEY = "pitstop-token";
const WITHIN_MS = 10000;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function token() {
  return sessionStorage.getItem(KEY);
}

export function setToken(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** Return the JSON at a path; throw Refused with the server's own sentence, or a TypeError if it is not reached. */
export async function getJson(path) {
  const response = await fetch(path, { headers: headers(), cache: "no-store", signal: AbortSignal.timeout(WITHIN_MS) });
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  throw new Refused(response.status, errorOf(text) ?? `the answer was ${response.status}`);
}

/** Send a body; return status, headers, the body as a Blob, and the milliseconds that it took. */
export async function post(path, body, contentType) {
  const began = performance.now();
  const response = await fetch(path, {
    method: "POST",
    body,
    headers: { ...headers(), "content-type": contentType, "pitstop-timing": "1" },
  });
  const blob = await response.blob();
  return { status: response.status, headers: response.headers, blob, tookMs: performance.now() - began };
}

/** Return the sentence of an error's JSON; null where it is not one of ours. */
export function errorOf(text) {
  try {
    const found = JSON.parse(text).error;
    return typeof found === "string" ? found : null;
  } catch {
    return null;
  }
}

function headers() {
  const given = token();
  return given ? { authorization: `Bearer ${given}` } : {};
}
