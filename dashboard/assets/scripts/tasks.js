/* What is drawn of the rows of the tasks besides their table: a timeline, this run among others,
   and what tasks reported. One element for each task, touched when the task changed. */

import { node } from "./element.js";
import { createBar, layOut, writeBar, writeRuntime } from "./timeline.js";

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
  if (!section.hidden) layOut(bars.values(), times);
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

function writeStep(cell) {
  const row = steps.get(Number(cell.dataset.step));
  if (row) writeRuntime(cell, row, true);
}

function createReport() {
  const text = node("pre", { tabIndex: 0 });
  const copy = node("button", { className: "copy", type: "button" }, "Copy");
  return node("details", {}, node("summary"), text, copy);
}

function writeReport({ element, row }) {
  const [title, text, copy] = element.children;
  title.textContent = row.title;
  text.textContent = row.text;
  copy.dataset.copy = row.text;
}
