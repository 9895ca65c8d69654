/* The controls for colours, and for the zone that times are written in. */

import { draw } from "./chart.js";
import { onChoice, setValue, valueOf } from "./controls.js";
import { chosen, keep, KEPT } from "./kept.js";
import { redrawRuntimes } from "./runtimes.js";
import { moveOn } from "./ticking.js";

/** Has the two controls say what was chosen. */
export function fillKept() {
  for (const id of KEPT) setValue(id, chosen(id));
}

/** Writes all times anew. */
function writeTimes() {
  moveOn();
  draw();
  redrawRuntimes();
}

onChoice((id) => {
  if (!KEPT.includes(id)) return;
  keep(id, valueOf(id));
  if (id === "zone") writeTimes();
});
