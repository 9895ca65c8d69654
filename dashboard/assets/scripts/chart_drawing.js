/* The drawing of the activity: bars of what ended, a line of what started. */

import { day, hourAndMinute } from "./time.js";

const MARGIN = { left: 34, right: 2, top: 8, bottom: 18 }; // px
const LABEL_WIDTH = 130; // px, of a time below the chart
const LONGEST_WITHOUT_DAYS = 90e6; // ms: a day and an hour
const SVG = "http://www.w3.org/2000/svg";

/** What the chart is called. */
export const titleOf = ({ subject }) => (subject ? `Activity of ${subject}` : "Activity");

/** The chart of some slots, as large as its box; null where that is not in sight. */
export function drawChart(box, slots) {
  if (!slots.length || !box.clientWidth) return null;
  const frame = frameOf(box, slots);
  const root = document.createElementNS(SVG, "svg");
  root.setAttribute("width", frame.width);
  root.setAttribute("height", frame.height);
  drawLines(root, frame);
  slots.forEach((_, index) => drawBars(root, frame, slots, index));
  drawStarted(root, frame, slots);
  slots.forEach((_, index) => drawArea(root, frame, slots, index));
  return root;
}

/** The size of the drawing, and where a slot begins (x) and a count is (y). */
function frameOf(box, slots) {
  const [width, height] = [box.clientWidth - 24, box.clientHeight - 4];
  const most = highest(slots);
  const inner = {
    width: width - MARGIN.left - MARGIN.right,
    height: height - MARGIN.top - MARGIN.bottom,
  };
  const x = (index) => MARGIN.left + (index * inner.width) / slots.length;
  const y = (count) => height - MARGIN.bottom - (count * inner.height) / most;
  return { width, height, most, inner, x, y, step: x(1) - x(0) };
}

/** The count at the top: a round one. */
function highest(slots) {
  const counts = slots.map((slot) => Math.max(slot.started, slot.succeeded + slot.failed));
  const most = Math.max(4, ...counts);
  const step = 10 ** Math.floor(Math.log10(most / 2));
  return Math.ceil(most / (2 * step)) * 2 * step;
}

function drawLines(root, { width, most, y }) {
  for (const part of [0, 0.5, 1]) {
    const [count, at] = [most * part, y(most * part)];
    svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at }, root);
    const place = { x: MARGIN.left - 6, y: at + 4, "text-anchor": "end" };
    svg("text", place, root, count.toLocaleString());
  }
}

function drawBars(root, { width, height, x, y, step }, slots, index) {
  const slot = slots[index];
  const gap = Math.min(2, step / 5);
  const place = { x: x(index) + gap / 2, width: Math.max(1, step - gap) };
  const bar = (kind, from, to) =>
    to > from && svg("rect", { ...place, class: kind, y: y(to), height: y(from) - y(to) }, root);
  bar("succeeded", 0, slot.succeeded);
  bar("failed", slot.succeeded, slot.succeeded + slot.failed);
  const every = Math.ceil(slots.length / Math.max(2, Math.floor(width / LABEL_WIDTH)));
  if (index % every === 0) svg("text", { x: x(index), y: height - 4 }, root, time(slot, slots));
}

function drawStarted(root, { x, y }, slots) {
  const line = slots.map(
    ({ started }, index) => `${x(index)},${y(started)} ${x(index + 1)},${y(started)}`
  );
  svg("polyline", { class: "started", points: line.join(" ") }, root);
}

/** What is pointed at. */
function drawArea(root, { inner, x, step }, slots, index) {
  const place = { x: x(index), width: step, y: MARGIN.top, height: inner.height };
  const area = svg("rect", { class: "slot", ...place }, root);
  svg("title", {}, area, wordsOf(slots[index], slots));
}

/** A slot in words. */
export function wordsOf(slot, slots) {
  const { started, succeeded, failed } = slot;
  return `${time(slot, slots)}: ${started} started, ${succeeded} succeeded, ${failed} failed`;
}

function svg(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function time({ at }, slots) {
  const date = new Date(at);
  const length = Date.parse(slots.at(-1).at) - Date.parse(slots[0].at);
  const clock = hourAndMinute(date);
  return length > LONGEST_WITHOUT_DAYS ? `${day(date)} ${clock}` : clock;
}
