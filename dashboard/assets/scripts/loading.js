/* Which tables are still loading: until then they say nothing of what they hold. */

import { findGrid } from "./dash.js";

// What in the address makes another list of them.
const NAMES = {
  pipelines: ["view", "worker", "name", "show", "from"],
  workers: ["view", "worker", "pipeline", "name", "presence", "from"],
  failures: ["view", "pipeline", "failure", "text", "state", "sort", "from"],
  processes: [
    ...["view", "pipeline", "worker", "failure", "status", "period", "version", "order", "start"],
    ...["since", "until"],
  ],
  tasks: ["process"],
};

let search = null; // of what the rows are
let loading = [];

/** Notes whose rows are there, and which are not. */
export function markLoaded(told) {
  ({ search, loading } = told);
  markLoading();
}

/** Covers the tables whose rows are not there, or are those of the address before. */
export function markLoading() {
  for (const table of Object.keys(NAMES)) {
    const [grid, isLoading] = [findGrid(table), loading.includes(table) || isOther(table)];
    if (grid && grid.getGridOption("loading") !== isLoading)
      grid.setGridOption("loading", isLoading);
  }
}

function isOther(table) {
  if (search === null) return true;
  const [shown, wanted] = [search, window.location.search].map((text) => new URLSearchParams(text));
  // A process alone finds its pipeline.
  const isFound = ["view", "pipeline", "worker", "failure"].some((name) => wanted.get(name));
  const names = isFound ? NAMES[table] : [...NAMES[table], "process"];
  return names.some((name) => shown.get(name) !== wanted.get(name));
}
