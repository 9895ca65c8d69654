/* The timeline of a process: a bar for each task, where it lies in the time that there is. */

import { node } from "./element.js";
import { duration, now } from "./time.js";
import { drawnFor, inWords, placeShade, setPart, writeUsual } from "./usual.js";

const FAILED_MARK = " ✕";

/** A bar, which nothing is known of. */
export function createBar() {
  const part = (className, ...parts) => node("span", { className }, ...parts);
  const track = part("bar-track", part("usual"), part("bar"));
  const rest = [part("bar-time"), part("beyond")];
  return node("div", { className: "bar-row" }, part("bar-name"), track, ...rest);
}

/** Writes what is known of a task; `layOut` gives its bar a place. */
export function writeBar({ element, row }) {
  const [name, track, time, note] = element.children;
  const bar = track.lastChild;
  element.className = `bar-row status-${row.status.toLowerCase()}`;
  name.textContent = `${row.position} ${row.name}`;
  element.title = row.usual ? `Usually ${inWords(row.usual)}` : "";
  writeRuntime(time, row);
  writeUsual({ time, note }, row);
  bar.style.left = bar.style.width = "";
}

/** Lays bars out by the time there is: from when the process began until it ended, or until now. */
export function layOut(drawn, times) {
  const bars = [...drawn];
  const from = Date.parse(times.from);
  const last = times.to ? Date.parse(times.to) : now();
  let end = last;
  for (const { row } of bars) end = Math.max(end, endOf(row));
  const length = Math.max(end - from, 1);
  for (const { element, row } of bars) {
    const [shade, bar] = element.querySelector(".bar-track").children;
    shade.hidden = !row.started || !row.usual;
    if (!row.started) continue;
    const begin = Math.max(0, Date.parse(row.started) - from);
    const stop = (row.ended ? Date.parse(row.ended) : last) - from;
    setPart(bar.style, "left", begin / length);
    setPart(bar.style, "width", Math.max(0, stop - begin) / length);
    if (row.usual) placeShade({ shade, bar }, row, { begin, stop, length });
  }
}

/** Until when a row is drawn: what runs as far as its shade, where there is one. */
function endOf(row) {
  if (row.ended) return Date.parse(row.ended);
  if (!row.started || row.runtime !== null) return 0;
  const begin = Date.parse(row.started);
  return begin + drawnFor(row, now() - begin);
}

/** A runtime; `ticking` writes that of what runs. */
export function writeRuntime(place, row, isMarked) {
  if (row.runtime === null) {
    place.dataset.since = row.started;
    return;
  }
  delete place.dataset.since;
  const mark = isMarked && row.status === "ERROR" ? FAILED_MARK : "";
  const text = row.status === "PENDING" ? "" : duration(row.runtime) + mark;
  if (place.textContent !== text) place.textContent = text;
}
