/* What is usual: how far something is beyond it, when it will end, and a shade behind its bar. */

import { clock, duration, now, roughly } from "./time.js";

const panelOf = (element) => element.closest(".panel")?.dataset || {};

/** By how much something in overtime is beyond; of what is not heard of, as of then. */
export function beyond(element) {
  const { freshness, asOf } = panelOf(element);
  const at = freshness === "stale" ? Number(asOf) : now();
  const seconds = (at - Date.parse(element.dataset.over)) / 1000;
  return seconds >= 1 ? `${roughly(seconds)} over what is usual` : "longer than is usual";
}

/** When something is expected to end; of what is not heard of nobody knows whether it has. */
export function ending(element) {
  const { ends, late } = element.dataset;
  const end = new Date(ends);
  if (end > now()) return `ends about ${clock(end)}`;
  return late || panelOf(element).freshness === "stale" ? "" : "usually over by now";
}

/** What is usual of a step, in words. */
export function inWords({ p50, p95 }) {
  const [half, most] = [duration(p50), duration(p95)];
  return half === most ? `about ${half}` : `${half} to ${most}`;
}

/** How long what runs is drawn: until its shade ends, unless that is much longer than it runs. */
export function drawnFor({ usual }, runs) {
  if (!usual) return runs;
  return Math.max(runs, Math.min(1000 * usual.p95, 2 * Math.max(1000 * usual.p50, runs)));
}

/** Shades from when half of its runs had ended until when nearly all had. */
export function placeShade({ shade, bar }, { usual, runtime }, { begin, stop, length }) {
  shade.hidden = begin + 1000 * usual.p50 >= length;
  const [from, to] = [usual.p50, usual.p95].map((each) => Math.min(begin + 1000 * each, length));
  setPart(shade.style, "left", from / length);
  setPart(shade.style, "width", (to - from) / length);
  // Of what is in overtime the bar has another colour from there on.
  if (runtime === null) setPart(bar.style, "--usual-part", (to - begin) / Math.max(stop - begin, 1));
}

/** What is usual beside a bar: of what waits how long it takes, of what is in overtime how far it is. */
export function writeUsual({ time, note }, { status, started, usual }) {
  const waits = status === "PENDING" && usual;
  time.classList.toggle("waits", Boolean(waits));
  if (waits) time.textContent = `≈ ${duration(usual.p50)}`;
  if (status === "OVERTIME") {
    const since = usual && Date.parse(started) + 1000 * usual.p95;
    note.dataset.over = usual ? new Date(since).toISOString() : "unknown";
  } else {
    delete note.dataset.over;
    note.textContent = "";
  }
}

// A style that is set is worked out again, also when it stays as it was.
export function setPart(style, name, share) {
  const value = `${(100 * share).toFixed(3)}%`;
  if (style.getPropertyValue(name) !== value) style.setProperty(name, value);
}
