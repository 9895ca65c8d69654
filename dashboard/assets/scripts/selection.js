/* Which rows are open: marked in their tables, and opened by a click or Enter. */

import { go } from "./address.js";
import { findGrid } from "./dash.js";

// Until React has drawn what was told with it.
export const DRAWN_MILLISECONDS = 50;

let shown = null; // as the server says it last

/** Notes what the server says it shows. */
export function select(told) {
  shown = told;
  setTimeout(mark, DRAWN_MILLISECONDS);
}

export function openRow(table, params) {
  const id = params.data && params.data.id;
  if (!id) return;
  if (table === "workers") go({ worker: id, process: null, start: null });
  if (table === "processes") go({ process: id, worker: shown && shown.worker });
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
