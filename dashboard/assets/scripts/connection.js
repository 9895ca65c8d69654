/* The connection: what is asked of the server and when, and what is said of its freshness. */

import { canSetProps, unchanged } from "./dash.js";
import { note, POLL_SECONDS, seenFrom, worst } from "./freshness.js";
import { checkSession } from "./session.js";
import { moment, setClock } from "./time.js";

const LIVE_SECONDS = 8; // the server says something every 3 s
const RETRY_SECONDS = 4;
const FIRST_SECONDS = 2.5; // until a tab without WebSocket is filled
const PATIENCE_SECONDS = 8; // until a first connection that does not come counts as lost

const tab = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
  byte.toString(16).padStart(2, "0")
).join("");
const openedAt = Date.now();

let search = null; // what is asked for
let number = 0; // of the last request
let isPolling = false;
let status = null; // as the server says it last
// In ms since 1970; 0: never.
let requestedAt = 0;
let liveAt = 0;
let answeredAt = 0;
let polledAt = 0;
let checkedAt = openedAt;

const secondsSince = (at) => (Date.now() - at) / 1000;
const isLive = () => secondsSince(liveAt) < LIVE_SECONDS;
const isRefreshed = () => secondsSince(answeredAt) < 2 * POLL_SECONDS;

/** Notes what the server says of itself; of the panels only when that is something else. */
export function hear(told) {
  status = { ...told, panels: told.panels || status?.panels };
  setClock(told.now);
  if (told.live) liveAt = Date.now();
  else answeredAt = Date.now();
}

/** What to ask over the socket and over HTTP, and what to say of the connection. */
export function tick(_, wanted) {
  const asked = followed(wanted || "") || unchanged();
  const polled = refreshed() || unchanged();
  const [text, tone] = sentence();
  note(panels());
  // Lost may also mean that the session ended.
  if (tone === "lost" && secondsSince(checkedAt) > POLL_SECONDS) {
    checkedAt = Date.now();
    checkSession();
  }
  const said = document.getElementById("connection");
  if (said && said.textContent === text) return [asked, polled, unchanged(), unchanged()];
  return [asked, polled, text, `connection connection-${tone}`];
}

/** The request to follow another address, or the same one anew after silence. */
function followed(wanted) {
  const isOther = search !== wanted;
  if (!isOther && (isLive() || secondsSince(requestedAt) <= RETRY_SECONDS)) return null;
  if (isOther && isPolling) polledAt = 0;
  search = wanted;
  requestedAt = Date.now();
  return { ...request(), anew: !isOther };
}

/** The request for a refresh, while there is no socket. */
function refreshed() {
  isPolling = !isLive() && secondsSince(openedAt) > FIRST_SECONDS;
  if (!isPolling || secondsSince(polledAt) <= POLL_SECONDS) return null;
  polledAt = Date.now();
  return request();
}

const request = () => ({ tab, number: ++number, search, plain: !canSetProps() });

/** The state of the connection in words, and their tone. */
function sentence() {
  if (!isLive() && !isRefreshed()) return sentenceOfSilence();
  const { problem, seenAt, health } = status || {};
  if (problem)
    return [`No connection to the API (${problem}), reconnecting …${dataAsOf(seenAt)}`, "lost"];
  if (health === "degraded") return ["Changes come late: the live feed is gone", "late"];
  if (health === "down") return ["The API's database is gone: nothing new is stored", "lost"];
  return worst(panels()) || ["Live", "live"];
}

/** The panels as they are to this tab. */
function panels() {
  const isSilent = !isLive() && !isRefreshed();
  const heardAt = isSilent && Math.max(liveAt, answeredAt);
  return seenFrom((status && status.panels) || {}, { heardAt, isLive: isLive() });
}

function sentenceOfSilence() {
  const heardAt = Math.max(liveAt, answeredAt);
  if (heardAt) return [`Connection lost, reconnecting …${dataAsOf(heardAt)}`, "lost"];
  return secondsSince(openedAt) < PATIENCE_SECONDS
    ? ["Connecting …", "waiting"]
    : ["No connection to the dashboard, reconnecting …", "lost"];
}

const dataAsOf = (at) => (at ? ` Data as of ${moment(at, "full")}.` : "");
