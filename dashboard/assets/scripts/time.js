/* Times and durations as people read them, by the server's clock and the browser's time zone. */

let skew = 0; // the server's clock minus this one, in ms

/** Takes over the server's clock, which was that at some time of this one: ms since 1970. */
export function setClock(serverNow, at = Date.now()) {
  skew = serverNow - at;
}

export const now = () => Date.now() + skew;

let isUtc = false; // else the browser's time zone

/** Says in which zone times are written. */
export function setUtc(value) {
  isUtc = value;
}

const pad = (number) => String(number).padStart(2, "0");

export const hourAndMinute = (date) =>
  isUtc
    ? `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}`
    : `${pad(date.getHours())}:${pad(date.getMinutes())}`;

/** A day; of another year than this one it is said. */
export function day(date) {
  if (Number.isNaN(date.getTime())) return String(date); // as an address may have it
  return formatOf(yearOf(date) !== yearOf(new Date(now()))).format(date);
}

const formats = new Map(); // to make one takes longer than to write a hundred dates

function formatOf(hasYear) {
  const key = `${isUtc} ${hasYear}`;
  if (!formats.has(key)) {
    const parts = { day: "numeric", month: "short", ...(hasYear ? { year: "numeric" } : {}) };
    formats.set(key, new Intl.DateTimeFormat(undefined, { ...parts, ...(isUtc ? { timeZone: "UTC" } : {}) }));
  }
  return formats.get(key);
}

const yearOf = (of) => (isUtc ? of.getUTCFullYear() : of.getFullYear());

// One that two instants of a day have in common.
const date = (of) =>
  isUtc
    ? `${yearOf(of)}-${of.getUTCMonth()}-${of.getUTCDate()}`
    : `${yearOf(of)}-${of.getMonth()}-${of.getDate()}`;

/** As short as it can be told until when something is: the day, or the hour of today. */
export function dayOrHour(at) {
  const instant = new Date(at);
  return date(new Date(now())) === date(instant) ? hourAndMinute(instant) : day(instant);
}

/** A date as those of uPlot: its parts are read without a zone. */
export const inZone = (at) =>
  isUtc ? new Date(at.getTime() + at.getTimezoneOffset() * 60_000) : at;

export function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(Math.floor(seconds % 60))} s`;
  return `${Math.floor(seconds / 3600)} h ${pad(Math.floor((seconds % 3600) / 60))} min`;
}

/** The duration of what goes on: in whole seconds. */
export function running(seconds) {
  return seconds < 60 ? `${Math.floor(seconds)} s` : duration(seconds);
}

export function ago(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** About how long: in the greatest unit, and hours with their minutes. */
export function roughly(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min` : duration(seconds);
}

/** An instant to the minute; with its day when that is not today. */
export function clock(instant) {
  const text = `${hourAndMinute(instant)}${isUtc ? " UTC" : ""}`;
  return date(new Date(now())) === date(instant) ? text : `${day(instant)} ${text}`;
}

/** An instant; without its day when that is today, unless `form` is "full". */
export function moment(at, form) {
  if (!at) return "–";
  const instant = new Date(at);
  const clock = `${hourAndMinute(instant)}:${pad(instant.getSeconds())}`;
  if (form === "full") return `${day(instant)} ${clock}${isUtc ? " UTC" : ""}`;
  return date(new Date(now())) === date(instant) ? clock : `${day(instant)} ${clock}`;
}
