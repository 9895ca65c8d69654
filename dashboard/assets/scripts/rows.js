/* Rows of the tables, and what must not pile up in a tab that is open all day. */

import { hear } from "./connection.js";
import { drawnGrid, forget, setProps } from "./dash.js";
import { moveOn } from "./ticking.js";

const REDRAWN_AFTER = 2000; // changes of a table

const changes = {};

/** Takes in what the server told; its number says that it was taken. */
export async function take({ number, status, tables }) {
  for (const [table, change] of Object.entries(tables)) await give(table, change);
  forget();
  hear(status);
  setTimeout(moveOn, 0);
  return number;
}

async function give(table, { rows, ...change }) {
  const grid = await drawnGrid(table);
  if (!grid) return giveByProperties(table, rows, change);
  if (rows) grid.setGridOption("rowData", rows);
  else grid.applyTransaction(change);
  changes[table] = (changes[table] || 0) + 1;
  if (changes[table] % REDRAWN_AFTER === 0) redraw(grid);
}

// Only at need: Dash AG Grid keeps every transaction that it was given as a property, for ever.
function giveByProperties(table, rows, change) {
  setProps(table, rows ? { rowData: rows } : { rowTransaction: { ...change, async: false } });
}

// AG Grid tells React of each change, React keeps what changes nothing until it draws again.
function redraw(grid) {
  grid.redrawRows();
  for (const shown of [true, false]) grid.setGridOption("alwaysShowVerticalScroll", shown);
}
