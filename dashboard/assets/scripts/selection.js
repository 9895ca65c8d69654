/* Which rows are open: marked in their tables, and opened by a click or Enter. */

import { follow, go } from "./address.js";
import { findGrid } from "./dash.js";

// Until React has drawn what was told with it.
export const DRAWN_MILLISECONDS = 50;

let shown = null; // as the server says it last

/** Notes what the server says it shows. */
export function select(told) {
  shown = told;
  setTimeout(mark, DRAWN_MILLISECONDS);
}

// What a click on a row of a table leads to.
const OPENED = {
  pipelines: (id) => follow(`?pipeline=${id}`),
  workers: (id) => go({ worker: id, pipeline: null, process: null, start: null, view: null }),
  failures: (id) => follow(`?failure=${id}`),
  processes: (id) => go({ process: id }),
};

export function openRow(table, params) {
  const id = params.data && params.data.id;
  const isLink = params.event && params.event.target.closest("a,button");
  if (id && !isLink && Object.hasOwn(OPENED, table)) OPENED[table](id);
}

export function openRowByKey(table, params) {
  if (params.event && params.event.key === "Enter") openRow(table, params);
}

export const markSelection = () => setTimeout(mark, 0);

function mark() {
  for (const table of ["workers", "processes"]) {
    const grid = findGrid(table);
    const wanted = shown && shown[table === "workers" ? "worker" : "process"];
    if (!grid) continue;
    for (const node of grid.getSelectedNodes()) if (node.id !== wanted) node.setSelected(false);
    const node = wanted && grid.getRowNode(wanted);
    if (node && !node.isSelected()) node.setSelected(true);
  }
}
