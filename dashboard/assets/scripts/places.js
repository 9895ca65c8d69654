/* Where one is: the view and the level that an address names, how it is titled, and the way back. */

const VIEWS = { overview: "Overview", failures: "Failures", runs: "Runs", workers: "Workers" };

/** The view (a pipeline is one), its level, and the names on the way there. */
export function placeOf(address, { pipelineName, workerName, failureTitle }) {
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
  return Object.hasOwn(VIEWS, view) ? view : "overview";
}

const tail = (id) => `…${id.slice(-8)}`;

/** The way back, as Dash draws it. */
export function trail({ root, names }, address, pipeline) {
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

/** The titles of panels that are others in each view, by their ids. */
export function titles({ view, whose }) {
  const isFailure = view === "failure";
  return {
    "processes-title": isFailure ? "Its runs" : whose ? `Runs of ${whose}` : "Runs",
    "workers-title": view === "pipeline" && whose ? `Workers of ${whose}` : "Workers",
    "pipeline-title": (view === "pipeline" && whose) || "Pipeline",
  };
}

/** Marks the view among the links to all of them. */
export function markHere(links, { root }) {
  const wanted = root === "overview" ? "" : `view=${root}`;
  for (const link of links) {
    const isHere = link.getAttribute("href") === `?${wanted}`;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
