/* The levels of the view: where one is, what is titled how, and the trail back. */

import { parameters } from "./address.js";
import { draw } from "./chart.js";
import { findGrid } from "./dash.js";
import { markLoading } from "./loading.js";
import { markPages } from "./pages.js";
import { DRAWN_MILLISECONDS, select } from "./selection.js";
import { draw as drawTables } from "./tables.js";
import { setTimes } from "./tasks.js";
import { fillKept } from "./theme.js";
import { moveOn } from "./ticking.js";
import { moment } from "./time.js";

const VIEWS = { overview: "Overview", failures: "Failures", runs: "Runs", workers: "Workers" };

/** Trail, view and level. */
export function show(shown, search, tables) {
  select(shown);
  setTimes(shown && shown.times);
  markLoading();
  const address = new URLSearchParams(search || "");
  // What is said of another address has the names of that one.
  const names = shown && shown.search === (search || "") ? shown : {};
  const place = placeOf(address, names);
  document.title = [...place.names.toReversed(), "Process Monitor"].join(" · ");
  setTimeout(settle, DRAWN_MILLISECONDS, place, names === shown ? shown : null);
  const inPlaces = drawTables(place, tables, () => settleTables(place));
  return [trail(place, address, names.pipeline), place.view, place.level, ...inPlaces];
}

/** What is said to tables that were not there when the rest was settled. */
function settleTables(place) {
  markLoading();
  if (document.getElementById("dashboard").dataset.view === place.view) markView(place);
}

/** What is left to do once React has drawn it. */
function settle(place, shown) {
  writeTitles(place);
  markPages(shown);
  fillKept();
  markView(place);
  draw();
  moveOn();
}

/** The view (a pipeline is one), its level, and the names on the way there. */
function placeOf(address, { pipelineName, workerName, failureTitle }) {
  const [process, worker] = [address.get("process"), address.get("worker")];
  const failure = !worker && address.get("failure");
  const root = rootOf(address, worker, failure);
  const isPipeline = root === "overview" && Boolean(process || address.get("pipeline"));
  const names = [];
  if (isPipeline) names.push(pipelineName || "Pipeline");
  if (worker) names.push(workerName || "Worker");
  if (failure) names.push(failureTitle || "Failure");
  const level = process ? "2" : names.length ? "1" : "0";
  if (process) names.push(`Run ${tail(process)}`);
  const whose = worker ? workerName : pipelineName;
  const view = failure ? "failure" : isPipeline ? "pipeline" : root;
  return { root, view, level, names, whose, worker, pipelineName };
}

function rootOf(address, worker, failure) {
  if (worker) return "workers";
  const view = failure ? "failures" : address.get("view");
  return view in VIEWS ? view : "overview";
}

const tail = (id) => `…${id.slice(-8)}`;

function trail({ root, names }, address, pipeline) {
  if (!names.length) return [];
  const crumbs = [crumb(VIEWS[root], root === "overview" ? {} : { view: root })];
  const last = names.length - 1;
  names.forEach((name, index) => {
    const to = index === last ? null : backTo(address, pipeline);
    crumbs.push(crumb(name, to));
  });
  return crumbs;
}

/** The parameters of the level before a process, which may have been named without its pipeline. */
function backTo(address, pipeline) {
  const back = Object.fromEntries(address);
  delete back.process;
  if (!back.worker && !back.pipeline && !back.view && !back.failure) back.pipeline = pipeline || "";
  return back;
}

function crumb(text, to) {
  const props = { children: text, className: "crumb" };
  if (!to) return { type: "Span", namespace: "dash_html_components", props: { ...props, "aria-current": "page" } };
  props.href = `?${new URLSearchParams(to)}`;
  return { type: "A", namespace: "dash_html_components", props };
}

function writeTitles({ view, whose }) {
  const isFailure = view === "failure";
  write("processes-title", isFailure ? "Its runs" : whose ? `Runs of ${whose}` : "Runs");
  write("workers-title", view === "pipeline" && whose ? `Workers of ${whose}` : "Workers");
  write("pipeline-title", (view === "pipeline" && whose) || "Pipeline");
}

function write(id, text) {
  const place = document.getElementById(id);
  if (place && place.textContent !== text) place.textContent = text;
}

/** Marks the view in the header; shows the columns and filters that make sense in it. */
function markView({ root, view, worker, pipelineName }) {
  const wanted = root === "overview" ? "" : `view=${root}`;
  for (const link of document.querySelectorAll("#views a")) {
    const isHere = link.getAttribute("href") === `?${wanted}`;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  showColumns("processes", ["pipeline"], view === "runs");
  showColumns("processes", ["version", "id"], ["runs", "failure"].includes(view) || Boolean(worker));
  showColumns("processes", ["progress", "step"], view !== "failure");
  showColumns("workers", ["name", "failed", "mean", "registered"], view === "workers");
  const address = parameters();
  const isNarrowed = root !== "overview" && !worker && address.get("pipeline");
  nameChip("pipeline", isNarrowed && `Pipeline ${pipelineName || "…"}`);
  nameChip("since until", address.get("since") && spanOf(address));
  nameChip("version", address.get("version") && `Version ${address.get("version")}`);
}

const spanOf = (address) =>
  [address.get("since"), address.get("until")].map((end) => moment(end, "full")).join(" to ");

/** Says what narrows the lists; nothing, where it does not. */
function nameChip(parameter, text) {
  for (const chip of document.querySelectorAll(`[data-drop="${parameter}"]`)) {
    chip.hidden = !text;
    chip.textContent = text ? `${text} ✕` : "";
  }
}

function showColumns(table, columns, isShown) {
  findGrid(table)?.setColumnsVisible(columns, isShown);
}
