/* The first picture of the page makes way for the page, when that shows as much. */

import { findGrid } from "./dash.js";
import { isDrawn } from "./tables.js";

const LOOK_MILLISECONDS = 10;
// A page that is drawn, whatever it shows, is better than a picture of it. One without a socket asks
// after 2.5 s (FIRST_SECONDS in connection.js).
const PATIENCE_MILLISECONDS = 5000;

let isWaiting = false;

/** Takes the picture away after some time, in any case. Called when the page is drawn. */
export function makeWayLater() {
  if (isWaiting) return;
  isWaiting = true;
  setTimeout(makeWay, PATIENCE_MILLISECONDS);
}

/** Takes the picture away, once the tables that have rows by now show them. */
export function makeWayFor(tables) {
  if (!document.querySelector(".picture")) return;
  if (tables.every(showsRows)) makeWay();
  else setTimeout(makeWayFor, LOOK_MILLISECONDS, tables);
}

function makeWay() {
  for (const part of document.querySelectorAll(".picture, .picture-status")) part.remove();
}

/** AG Grid draws rows later than it takes them, and what is in their cells later than that. */
function showsRows(table) {
  const grid = isDrawn(table) && findGrid(table);
  if (!grid || !grid.getDisplayedRowCount()) return true;
  const rows = document.querySelectorAll(`#${table} .ag-row`);
  return rows.length > 0 && [...rows].every((row) => row.textContent);
}
