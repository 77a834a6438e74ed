// The page: asks for the figures while somebody looks, and hands them to its parts.

import { getJson, Refused, setToken, token } from "./api.js";
import { checksOf } from "./checks.js";
import { Cost } from "./cost.js";
import { byId, h, replace } from "./dom.js";
import { clock, number } from "./format.js";
import { Live } from "./live.js";
import { drawOverview, health, runsOn } from "./overview.js";
import { setUpTheme } from "./theme.js";
import { TryIt } from "./tryit.js";

const EVERY_MS = 2000;
const METADATA_MS = 30000;
const metadata = new Map(); // By model: what GET /v2/models/NAME said last.
const asked = new Map(); // By model: when it was asked, and of how many replicas.
let data = null;
let shown = null; // The model whose parts are on the page.
let timer = 0;
let round = 0; // Of readings: an earlier one that is still on its way begins no later one.
let dismissed = false; // The token was asked for, and not given.

async function refresh() {
  clearTimeout(timer);
  const mine = ++round;
  if (document.hidden) return; // Nobody looks: no replica is asked.
  try {
    data = await getJson("/console/data");
    byId("notice").hidden = true;
    byId("connection").textContent = `live · ${clock(data.at)}`;
    byId("connection").className = "connection live";
    askForTokenIf(data.models.find((model) => model.asked.status === 401));
    await learn();
    draw();
  } catch (error) {
    failed(error);
  }
  if (mine === round) timer = setTimeout(refresh, EVERY_MS);
}

function failed(error) {
  byId("connection").textContent = data ? `no answer since ${clock(data.at)}` : "no answer";
  byId("connection").className = "connection lost";
  byId("token-button").hidden = !(token() || error.status === 401);
  if (error.status === 401 && !dismissed) {
    askForToken(token() ? "The server does not know the token of this tab." : error.message);
    return;
  }
  const reason = error instanceof Refused ? error.message : "The server is not reached. The page goes on trying.";
  replace(byId("notice"), reason);
  byId("notice").hidden = false;
}

/** Ask for the metadata of models that are new here, have other replicas than before, or were asked long ago. */
async function learn() {
  const due = data.models.filter(({ name, replicas, ready, asked: outcome }) => {
    const last = asked.get(name);
    const fresh = last && last.replicas === replicas && performance.now() - last.at < METADATA_MS;
    return ready && outcome.answered && !fresh; // One without a replica would be started by it.
  });
  await Promise.all(
    due.map(async ({ name, replicas }) => {
      try {
        metadata.set(name, await getJson(`/v2/models/${name}`));
        asked.set(name, { at: performance.now(), replicas });
      } catch {
        // It is asked again with the next reading.
      }
    }),
  );
}

function draw() {
  const name = chosen();
  byId("server").textContent = data.server.name;
  document.title = `${data.server.name} console`;
  const focused = document.activeElement?.closest?.("#overview a")?.getAttribute("href");
  drawOverview(byId("overview"), data, metadata, name);
  if (focused)
    byId("overview")
      .querySelector(`a[href="${CSS.escape(focused)}"]`)
      ?.focus();
  const model = data.models.find((each) => each.name === name);
  if (model) drawModel(model);
  else replace(byId("model"), h("p", { class: "hint" }, "This server has no model yet."));
}

/** Return the model that the address names, else the first one. */
function chosen() {
  const named = decodeURIComponent(location.hash.slice(1));
  return data.models.some((model) => model.name === named) ? named : data.models[0]?.name;
}

function drawModel(model) {
  const known = metadata.get(model.name);
  if (shown?.name !== model.name || shown.known !== Boolean(known)) {
    const live = new Live();
    const cost = known ? new Cost() : null;
    shown = { name: model.name, known: Boolean(known), live, cost, head: h("div", { class: "model-head" }) };
    replace(
      byId("model"),
      shown.head,
      live.element,
      cost?.element,
      known ? new TryIt(known).element : null,
      known ? checksOf(known) : null,
    );
  }
  const [kind, word] = health(model);
  const count = `${number(model.replicas)} ${model.replicas === 1 ? "replica" : "replicas"}`;
  replace(
    shown.head,
    h("h2", {}, model.name),
    h("span", { class: `badge ${kind}` }, word),
    h("span", { class: "hint" }, `version ${model.version} · ${runsOn(known)} · ${count}`),
  );
  shown.live.update(model, data.at);
  shown.cost?.update(model, data, metadata);
}

function askForTokenIf(refused) {
  byId("token-button").hidden = !(token() || refused);
  if (refused && !token() && !dismissed) askForToken(`${refused.name}: ${refused.asked.error}`);
}

function askForToken(why) {
  byId("token-button").hidden = false;
  byId("token-why").textContent = why;
  if (!byId("token-dialog").open) byId("token-dialog").showModal();
}

function setUpToken() {
  byId("token-button").addEventListener("click", () =>
    askForToken(token() ? "This tab has a token." : "This tab has no token."),
  );
  byId("token-form").addEventListener("submit", () => {
    setToken(byId("token").value.trim());
    byId("token").value = "";
    dismissed = false;
    metadata.clear();
    asked.clear();
    refresh();
  });
  byId("token-forget").addEventListener("click", () => {
    setToken(null);
    dismissed = true;
    byId("token-dialog").close();
  });
  byId("token-dialog").addEventListener("cancel", () => (dismissed = true));
}

setUpTheme(byId("theme"));
setUpToken();
addEventListener("hashchange", () => data && draw());
document.addEventListener("visibilitychange", refresh);
refresh();
