/* What is drawn of the rows of the tasks besides their table: a timeline, this run among others,
   and what tasks reported. One element for each task, touched when the task changed. */

import { duration, now } from "./time.js";
import { drawnFor, inWords, placeShade, setPart, writeUsual } from "./usual.js";

const FAILED_MARK = " ✕";

const bars = new Map();
const reports = new Map();
let steps = new Map(); // rows by their positions
let times = null; // when the process began and ended

/** Takes over when the process began and ended; none while it is not known. */
export function setTimes(told) {
  times = told || null;
}

/** Takes in changes of the tasks. */
export function takeTasks(change) {
  keep(bars, document.getElementById("timeline"), change, createBar, writeBar);
  steps = new Map([...bars.values()].map(({ row }) => [row.position, row]));
}

/** Takes in changes of what the tasks reported. */
export function takeReports(change) {
  keep(reports, document.getElementById("reports"), change, createReport, writeReport);
}

/** Lays the bars out by the time there is, and writes the runtimes of this run. */
export function moveTasks() {
  const section = document.getElementById("times");
  if (!section) return;
  section.hidden = !times || !bars.size;
  if (!section.hidden) layOut();
  document.getElementById("usual-key").hidden = ![...bars.values()].some(({ row }) => row.usual);
  document.querySelectorAll("[data-step]").forEach(writeStep);
}

/** Keeps an element for each row in the box, in the order of their positions. */
function keep(known, box, { rows, add = [], update = [], remove = [] }, create, write) {
  if (rows) {
    known.clear();
    box.replaceChildren();
  }
  for (const { id } of remove) {
    known.get(id)?.element.remove();
    known.delete(id);
  }
  const count = known.size;
  for (const row of [...(rows || []), ...add, ...update]) {
    const element = known.get(row.id)?.element || create();
    known.set(row.id, { element, row });
    write(known.get(row.id));
  }
  if (known.size === count) return;
  const sorted = [...known.values()].sort((one, other) => one.row.position - other.row.position);
  box.append(...sorted.map(({ element }) => element));
}

function createBar() {
  const element = node("div", "bar-row", node("span", "bar-name"));
  const track = node("span", "bar-track", node("span", "usual"), node("span", "bar"));
  element.append(track, node("span", "bar-time"), node("span", "beyond"));
  return element;
}

function writeBar({ element, row }) {
  const [name, track, time, note] = element.children;
  const bar = track.lastChild;
  element.className = `bar-row status-${row.status.toLowerCase()}`;
  name.textContent = `${row.position} ${row.name}`;
  element.title = row.usual ? `Usually ${inWords(row.usual)}` : "";
  writeRuntime(time, row);
  writeUsual({ time, note }, row);
  bar.style.left = bar.style.width = "";
}

function layOut() {
  const from = Date.parse(times.from);
  const last = times.to ? Date.parse(times.to) : now();
  let end = last;
  for (const { row } of bars.values()) end = Math.max(end, endOf(row));
  const length = Math.max(end - from, 1);
  for (const { element, row } of bars.values()) {
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

function writeStep(cell) {
  const row = steps.get(Number(cell.dataset.step));
  if (row) writeRuntime(cell, row, true);
}

/** A runtime; `ticking` writes that of what runs. */
function writeRuntime(place, row, isMarked) {
  if (row.runtime === null) {
    place.dataset.since = row.started;
    return;
  }
  delete place.dataset.since;
  const mark = isMarked && row.status === "ERROR" ? FAILED_MARK : "";
  const text = row.status === "PENDING" ? "" : duration(row.runtime) + mark;
  if (place.textContent !== text) place.textContent = text;
}

function createReport() {
  const text = node("pre", "");
  text.tabIndex = 0;
  const copy = node("button", "copy", "Copy");
  copy.type = "button";
  const element = node("details", "", node("summary", ""));
  element.append(text, copy);
  return element;
}

function writeReport({ element, row }) {
  const [title, text, copy] = element.children;
  title.textContent = row.title;
  text.textContent = row.text;
  copy.dataset.copy = row.text;
}

function node(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}
