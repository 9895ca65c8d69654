/* The levels of the view: overview, a worker, a process; their titles, and the trail back. */

import { draw } from "./chart.js";
import { markLoading } from "./loading.js";
import { DRAWN_MILLISECONDS, select } from "./selection.js";
import { setTimes } from "./tasks.js";
import { moveOn } from "./ticking.js";

/** Trail, level, title of the list, and whether it has pages behind and before this one. */
export function show(shown, search) {
  select(shown);
  setTimes(shown && shown.times);
  markLoading();
  setTimeout(draw, DRAWN_MILLISECONDS);
  setTimeout(moveOn, DRAWN_MILLISECONDS);
  const address = new URLSearchParams(search || "");
  const worker = address.get("worker") || (shown && shown.worker);
  const process = address.get("process");
  const name = (shown && shown.workerName) || "Worker";
  const start = address.get("start");
  document.title = title(shown && shown.workerName, process);
  return [
    trail(worker && name, process),
    process ? "2" : worker ? "1" : "0",
    worker ? `Processes of ${name}` : "Processes",
    !(shown && shown.nextStart),
    !start,
    start ? "An older page" : "",
  ];
}

/** The title of the document: what is looked at, first. */
function title(worker, process) {
  return [process && `Process ${tail(process)}`, worker, "Process Monitor"].filter(Boolean).join(" · ");
}

const tail = (id) => `…${id.slice(-8)}`;

function trail(worker, process) {
  const crumbs = worker ? [crumb("Overview", "overview"), crumb(worker, "worker", !process)] : [];
  if (process) crumbs.push(crumb(`Process ${tail(process)}`, "process", true));
  return crumbs;
}

function crumb(text, level, current) {
  const props = { children: text, className: "crumb", type: "button", "data-go": level };
  if (current) props["aria-current"] = "page";
  return { type: "Button", namespace: "dash_html_components", props };
}
