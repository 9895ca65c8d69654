/* The runtimes of a pipeline over time, hour by hour: drawn by uPlot, which is loaded when it is
   needed. Dragging over it zooms in, a double click shows all of it again. */

import { DRAWN_MILLISECONDS } from "./selection.js";
import { day, duration, hourAndMinute, inZone } from "./time.js";

const HEIGHT = 170; // px
const PACKAGE = new URL("../uplot/", import.meta.url);

let slots = null;
let chart = null;
let loading = null; // the promise of uPlot

/** Draws it anew: colours and times are others. */
export const redrawRuntimes = () => chart?.redraw();

/** Takes over the hours with their quantiles; whether there is nothing to draw. */
export function runtimes(told) {
  slots = told && told.length ? told : null;
  setTimeout(draw, DRAWN_MILLISECONDS);
  return !slots || !slots.some(({ count }) => count);
}

async function draw() {
  const box = document.getElementById("runtimes-chart");
  if (!box || !slots || !box.clientWidth) return;
  const uPlot = await load(box);
  if (!uPlot || !slots) return;
  if (chart && !box.contains(chart.root)) chart = null;
  if (!chart) {
    box.replaceChildren();
    chart = new uPlot(options(box), data(), box);
    new ResizeObserver(resize).observe(box);
  } else chart.setData(data(), !isZoomed());
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", inWords());
}

/** uPlot; null where it was not built, which is said in its place. */
async function load(box) {
  try {
    loading ??= import(new URL("uPlot.esm.js", PACKAGE));
    const { default: uPlot } = await loading;
    if (!document.querySelector("#uplot-style")) {
      const href = new URL("uPlot.min.css", PACKAGE);
      document.head.append(Object.assign(document.createElement("link"), { id: "uplot-style", rel: "stylesheet", href }));
    }
    return uPlot;
  } catch {
    box.textContent = "The chart is not installed: `make install` builds it where there is npm.";
    return null;
  }
}

const data = () => [
  slots.map(({ at }) => Date.parse(at) / 1000),
  slots.map(({ p50 }) => p50),
  slots.map(({ p95 }) => p95),
];

/** Colours come from the style sheet, at each drawing. */
const colour = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name);
const seconds = (_, value) => (value === null ? "–" : duration(value));

function options(box) {
  const line = (label, name) => ({
    label,
    stroke: colour(name),
    width: 1.5,
    spanGaps: true,
    points: { show: true, size: 4, fill: colour(name) },
    value: seconds,
  });
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  return {
    width: box.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => inZone(new Date(seconds * 1000)),
    scales: { y: { range: (_, __, most) => [0, (most || 1) * 1.1] } },
    axes: [{ ...axis, values: (_, times) => times.map(hour) , space: 90 }, { ...axis, size: 64, values: (_, values) => values.map((value) => duration(value)) }],
    series: [{ label: "Hour", value: (_, at) => (at ? hour(at) : "–") }, line("p50", "--running"), line("p95", "--stalled")],
  };
}

function hour(at) {
  const date = new Date(at * 1000);
  return `${day(date)} ${hourAndMinute(date)}`;
}

function isZoomed() {
  const { min, max } = chart.scales.x;
  const [hours] = chart.data;
  return min > hours[0] || max < hours.at(-1);
}

function resize([{ contentRect }]) {
  if (chart && contentRect.width) chart.setSize({ width: contentRect.width, height: HEIGHT });
}

function inWords() {
  const last = slots.findLast(({ count }) => count);
  if (!last) return "Runtimes: none known";
  const at = hour(Date.parse(last.at) / 1000);
  return `Runtimes by the hour; ${at}: p50 ${duration(last.p50)}, p95 ${duration(last.p95)}`;
}

// The colours change with the theme.
new MutationObserver(redrawRuntimes).observe(document.documentElement, {
  attributeFilter: ["data-scheme"],
});
