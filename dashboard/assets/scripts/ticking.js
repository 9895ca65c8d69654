/* What moves on with the time alone: times, durations and the bars of what runs. */

import { ago, moment, now, running } from "./time.js";

const TICK_MILLISECONDS = 500;

/** Writes the time that an element names by its attributes. */
export function write(element) {
  const { since, ago: then } = element.dataset;
  let text;
  if (since) text = running(Math.max(0, (now() - Date.parse(since)) / 1000));
  else if (then) text = ago((now() - Date.parse(then)) / 1000);
  else if (element.dateTime) text = moment(element.dateTime, element.dataset.form);
  else return;
  if (element.textContent !== text) element.textContent = text;
}

function layOut(timeline) {
  const from = Date.parse(timeline.dataset.from);
  const bars = timeline.querySelectorAll(".bar");
  let end = timeline.dataset.to ? Date.parse(timeline.dataset.to) : now();
  for (const bar of bars) if (bar.dataset.to) end = Math.max(end, Date.parse(bar.dataset.to));
  const length = Math.max(end - from, 1);
  for (const bar of bars) {
    if (!bar.dataset.from) {
      bar.style.width = "0";
      continue;
    }
    const begin = Math.max(0, Date.parse(bar.dataset.from) - from);
    const stop = bar.dataset.to ? Date.parse(bar.dataset.to) - from : end - from;
    bar.style.left = `${(100 * begin) / length}%`;
    bar.style.width = `${(100 * Math.max(0, stop - begin)) / length}%`;
  }
}

export function moveOn() {
  document.querySelectorAll("[data-since],[data-ago],time").forEach(write);
  document.querySelectorAll(".timeline").forEach(layOut);
}

setInterval(moveOn, TICK_MILLISECONDS);
