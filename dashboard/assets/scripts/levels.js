/* The levels of the view: what is shown where one is. */

import { draw } from "./chart.js";
import { nameChips } from "./chips.js";
import { columnsOf } from "./columns.js";
import { findGrid } from "./dash.js";
import { markLoading } from "./loading.js";
import { makeWayLater } from "./making_way.js";
import { markPages } from "./pages.js";
import { markHere, placeOf, titles, trail } from "./places.js";
import { DRAWN_MILLISECONDS, select } from "./selection.js";
import { draw as drawTables } from "./tables.js";
import { setTimes } from "./tasks.js";
import { fillKept } from "./theme.js";
import { moveOn } from "./ticking.js";

/** Trail, view and level. */
export function show(shown, search, tables) {
  makeWayLater();
  select(shown);
  setTimes(shown && shown.times);
  markLoading();
  const address = new URLSearchParams(search || "");
  // What is said of another address has the names of that one.
  const names = shown && shown.search === (search || "") ? shown : {};
  const place = placeOf(address, names);
  document.title = [...place.names.toReversed(), "Process Monitor"].join(" · ");
  setTimeout(settle, DRAWN_MILLISECONDS, place, names === shown ? shown : null);
  const inPlaces = drawTables(place, tables, () => settleTables(place));
  return [trail(place, address, names.pipeline), place.view, place.level, ...inPlaces];
}

/** What is said to tables that were not there when the rest was settled. */
function settleTables(place) {
  markLoading();
  if (document.getElementById("dashboard").dataset.view === place.view) markView(place);
}

/** What is left to do once React has drawn it. */
function settle(place, shown) {
  writeTitles(place);
  markPages(shown);
  fillKept();
  markView(place);
  draw();
  moveOn();
}

function writeTitles(place) {
  for (const [id, text] of Object.entries(titles(place))) {
    const title = document.getElementById(id);
    if (title && title.textContent !== text) title.textContent = text;
  }
}

/** Marks the view in the header; shows the columns and filters that make sense in it. */
function markView(place) {
  markHere(document.querySelectorAll("#views a"), place);
  for (const [table, columns] of Object.entries(columnsOf(place))) {
    for (const each of columns) findGrid(table)?.setColumnsVisible(...each);
  }
  nameChips(place);
}
