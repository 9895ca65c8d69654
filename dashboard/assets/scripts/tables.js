/* The tables: each is drawn when it comes in sight for the first time. */

import { drawnGrid, setProps } from "./dash.js";

// Those of a view, from which level on.
const IN_SIGHT = {
  overview: { pipelines: 0 },
  workers: { workers: 0, processes: 1, tasks: 2 },
  runs: { processes: 0, tasks: 2 },
  failures: { failures: 0, tasks: 2 },
  failure: { processes: 0, tasks: 2 },
  pipeline: { processes: 0, workers: 1, tasks: 2 },
};

let tables = {}; // as Dash draws them
const drawn = new Set();

/** Takes over what there is to draw. */
export function offerTables(told) {
  tables = told || {};
}

/** Draws what is in sight; `done` is called after each table that was drawn for the first time. */
export function drawInSight({ view, level }, done) {
  for (const [table, from] of Object.entries(IN_SIGHT[view]))
    if (Number(level) >= from && drawTable(table)) drawnGrid(table).then(done);
}

export const isDrawn = (table) => drawn.has(table);

/** Has a table drawn; whether it was not so far. */
export function drawTable(table) {
  if (drawn.has(table) || !tables[table]) return false;
  drawn.add(table);
  setProps(`${table}-place`, { children: tables[table] });
  return true;
}
