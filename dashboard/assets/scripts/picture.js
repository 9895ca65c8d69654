/* Draws what of the first picture the browser knows best: tables with the times of its zone, and
   what its address says. The rest of the picture is in the document. */

import * as cells from "./cells.js";
import { drawChart, titleOf } from "./chart_drawing.js";
import { nameChips } from "./chips.js";
import { CHOICES, parameters, saidOf, TEXTS } from "./choices.js";
import { columnsOf } from "./columns.js";
import { say } from "./controls.js";
import { node, withNodes } from "./element.js";
import { note } from "./freshness.js";
import { chosen, KEPT } from "./kept.js";
import { markPages } from "./pages.js";
import { markHere, placeOf, titles, trail } from "./places.js";
import { setClock } from "./time.js";
import { createBar, layOut, writeBar } from "./timeline.js";
import { writeAll } from "./writing.js";

const TICK_MILLISECONDS = 1000;
const USUAL_WIDTH = 200; // px, of a column that has neither a width nor a share, as AG Grid has it

const picture = document.querySelector(".picture");

// The real page has the ids.
const part = (id) => picture.querySelector(`[data-id="${id}"]`);

function draw() {
  setClock(Number(picture.dataset.now), answeredAt());
  note(JSON.parse(picture.dataset.panels));
  const { shown, slots, tables } = JSON.parse(picture.querySelector("script").textContent);
  const place = placeOf(parameters(), shown);
  writeHead(place, shown);
  fillControls();
  markPages(shown);
  if (slots) drawActivity(slots);
  const drawing = { place, opened: [shown.worker, shown.process] };
  for (const [name, table] of Object.entries(tables)) drawTable(name, table, drawing);
  if (tables.tasks?.isWhole) drawTimeline(tables.tasks.rows, shown.times);
  tick();
}

/** Goes on with the time, until the page does. */
function tick() {
  writeAll();
  if (picture.isConnected) setTimeout(tick, TICK_MILLISECONDS);
}

// When the document began to come, by this clock; where the browser does not tell, it came just now.
function answeredAt() {
  const [navigation] = performance.getEntriesByType("navigation");
  return navigation ? performance.timeOrigin + navigation.responseStart : Date.now();
}

function writeHead(place, { pipelineName }) {
  for (const [id, text] of Object.entries(titles(place))) part(id).textContent = text;
  part("trail").append(...trail(place, parameters(), pipelineName).map(crumb));
  markHere(part("views").children, place);
  nameChips(place);
}

const crumb = ({ type, props: { children, ...props } }) => node(type, props, children);

function fillControls() {
  for (const id of Object.keys(CHOICES)) say(part(id), saidOf(id));
  for (const id of KEPT) say(part(id), chosen(id));
  for (const [id, name] of TEXTS) part(id).value = parameters().get(name) || "";
}

function drawActivity(told) {
  part("activity-title").textContent = titleOf(told);
  const chart = drawChart(part("activity"), told.slots);
  if (chart) part("activity").append(chart);
}

function drawTable(name, { columns, rows, rowHeight, isLoading, none }, { place, opened }) {
  const box = part(`${name}-place`);
  const shown = shownOf(columns, columnsOf(place)[name] || []);
  const gridTemplateColumns = shown.map(widthOf).join(" ");
  const line = (className, cells, height) =>
    node("div", { className, style: { gridTemplateColumns, height } }, cells);
  const lineOf = (row) => {
    const look = opened.includes(row.id) ? "picture-row picture-chosen" : "picture-row";
    return line(look, shown.map((column) => cellOf(column, row)), `${rowHeight}px`);
  };
  // Those in sight, and one more, for which it scrolls.
  const most = box.clientHeight ? Math.ceil(box.clientHeight / rowHeight) + 1 : rows.length;
  const lines = rows.slice(0, most).map(lineOf);
  const note = isLoading ? "Loading…" : rows.length ? null : none;
  const head = line("picture-head", shown.map(headOf), "");
  box.append(node("div", { className: "picture-table" }, head, lines, note && node("p", {}, note)));
}

function shownOf(columns, changes) {
  const isShown = ({ field, hide }) => {
    const change = changes.find(([fields]) => fields.includes(field));
    return change ? change[1] : !hide;
  };
  return columns.filter(isShown);
}

const widthOf = ({ width = USUAL_WIDTH, minWidth = 0, flex }) =>
  flex ? `minmax(${minWidth}px, ${flex}fr)` : `${width}px`;

const headOf = (column) => node("span", { className: classOf(column) }, column.headerName);

function cellOf(column, row) {
  const value = row[column.field] ?? null;
  const draw = cells[column.cellRenderer];
  const content = draw ? withNodes(() => draw({ value, data: row })) : value;
  return node("span", { className: classOf(column) }, content);
}

const classOf = ({ type }) => (type === "rightAligned" ? "picture-right" : "");

function drawTimeline(rows, times) {
  part("times").hidden = !times || !rows.length;
  if (part("times").hidden) return;
  const bars = rows.map((row) => ({ element: createBar(), row }));
  bars.forEach(writeBar);
  part("usual-key").hidden = !rows.some(({ usual }) => usual);
  layOut(bars, times);
  part("timeline").append(...bars.map(({ element }) => element));
}

if (picture) draw();
