/* Rows of the tables, and what must not pile up in a tab that is open all day. */

import { fillChoices } from "./address.js";
import { hear } from "./connection.js";
import { drawnGrid, forget, setProps } from "./dash.js";
import { markLoaded } from "./loading.js";
import { makeWayFor } from "./making_way.js";
import { takeReports, takeTasks } from "./tasks.js";
import { isDrawn } from "./tables.js";
import { moveOn } from "./ticking.js";

const REDRAWN_AFTER = 2000; // changes of a table

const LONG = 50; // rows that a table shows without scrolling by itself

// AG Grid draws a cell anew when its value is another one; these show more of their row.
const OF_ROW = new Set([
  ...["Status", "Now", "Seen", "Runtime", "Progress", "Success"],
  ...["Life", "OfPipeline", "Hours", "Versions"],
]);

const changes = {};

/** Takes in what the server told; its number says that it was taken. */
export async function take({ number, status, props, tables, search, loading }) {
  for (const [component, name, value] of props) setProps(component, { [name]: JSON.parse(value) });
  for (const [table, text] of Object.entries(tables)) {
    const change = JSON.parse(text);
    if (table === "reports") takeReports(change);
    else await give(table, change);
    if (table === "tasks") {
      takeTasks(change);
      await fit(table);
    }
  }
  fillChoices(); // of those that have other words now
  markLoaded({ search, loading });
  forget();
  hear(status);
  setTimeout(moveOn, 0);
  const isLate = Object.values(status.panels || {}).some(({ state }) => state === "stale");
  if (isLate || !loading.length) makeWayFor(Object.keys(tables));
  return number;
}

async function give(table, { rows, add = [], update = [], remove = [] }) {
  if (!isDrawn(table)) return;
  const grid = await drawnGrid(table);
  if (!grid) return giveByProperties(table, rows, { add, update, remove });
  // A refresh over HTTP that comes between the changes has brought some of them already.
  const isThere = ({ id }) => Boolean(grid.getRowNode(id));
  const told = [...add, ...update];
  if (rows) grid.setGridOption("rowData", rows);
  else {
    const changed = told.filter(isThere);
    grid.applyTransaction({
      add: told.filter((row) => !isThere(row)),
      update: changed,
      remove: remove.filter(isThere),
    });
    drawCellsOf(grid, changed);
  }
  changes[table] = (changes[table] || 0) + 1;
  if (changes[table] % REDRAWN_AFTER === 0) redraw(grid);
}

function drawCellsOf(grid, rows) {
  const rowNodes = rows.map(({ id }) => grid.getRowNode(id)).filter(Boolean);
  const columns = grid.getColumns().filter((it) => OF_ROW.has(it.getColDef().cellRenderer));
  if (rowNodes.length) grid.refreshCells({ rowNodes, columns, force: true });
}

// Only at need: Dash AG Grid keeps every transaction that it was given as a property, for ever.
function giveByProperties(table, rows, change) {
  setProps(table, rows ? { rowData: rows } : { rowTransaction: { ...change, async: false } });
}

// Only a table that scrolls by itself leaves out the rows that are not in sight.
async function fit(table) {
  if (!isDrawn(table)) return;
  const grid = await drawnGrid(table);
  if (!grid) return;
  const isLong = grid.getDisplayedRowCount() > LONG;
  const layout = isLong ? "normal" : "autoHeight";
  document.getElementById(`${table}-box`).classList.toggle("long-table", isLong);
  if (grid.getGridOption("domLayout") !== layout) grid.setGridOption("domLayout", layout);
}

// AG Grid tells React of each change, React keeps what changes nothing until it draws again.
function redraw(grid) {
  grid.redrawRows();
  for (const shown of [true, false]) grid.setGridOption("alwaysShowVerticalScroll", shown);
}
