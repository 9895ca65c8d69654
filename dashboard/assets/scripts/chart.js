/* The activity chart, and what it is called. */

import { markSlot } from "./chart_cursor.js";
import { drawChart, titleOf, wordsOf } from "./chart_drawing.js";
import { unchanged } from "./dash.js";

let slots = [];

export const slotsShown = () => slots;

/** Takes over the slots; what the chart is called then, for screen readers and in its title. */
export function chart(told) {
  if (!told) return [unchanged(), unchanged()];
  slots = told.slots;
  draw();
  const total = (name) => slots.reduce((sum, slot) => sum + slot[name], 0);
  const started = total("started");
  const begun = `${started} ${started === 1 ? "process" : "processes"} started`;
  const ended = `${total("succeeded")} succeeded, ${total("failed")} failed`;
  return [
    `Activity: ${begun}, ${ended} in the time shown`,
    titleOf(told),
  ];
}

export function draw() {
  const box = document.getElementById("activity");
  const root = box && drawChart(box, slots);
  if (!root) return;
  const said = document.createElement("div");
  said.className = "chart-said";
  box.replaceChildren(root, said);
  markSlot(box, slots.map((slot) => ({ at: slot.at, words: wordsOf(slot, slots) })));
}
window.addEventListener("resize", draw);
