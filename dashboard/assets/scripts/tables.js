/* The tables: each is drawn when it comes in sight for the first time. */

import { drawnGrid, unchanged } from "./dash.js";

// In the order that Dash has their places; of each the views that show it, from which level on.
const TABLES = {
  pipelines: { overview: 0 },
  workers: { workers: 0, pipeline: 1 },
  failures: { failures: 0 },
  processes: { runs: 0, pipeline: 0, failure: 0, workers: 1 },
  tasks: { overview: 2, workers: 2, runs: 2, failures: 2, failure: 2, pipeline: 2 },
};

const drawn = new Set();

/** Whether a table has been in sight. */
export const isDrawn = (table) => drawn.has(table);

/** What is to be drawn in the places of the tables; `done` is called when one of them is there. */
export function draw({ view, level }, tables, done) {
  return Object.entries(TABLES).map(([table, views]) => {
    if (isDrawn(table) || !(Number(level) >= views[view])) return unchanged();
    drawn.add(table);
    drawnGrid(table).then(done);
    return tables[table];
  });
}
