/* Zooming: who drags over the activity sees what was in between, in the chart and in the lists. */

import { go } from "./address.js";
import { slotsShown } from "./chart.js";
import { onSpan } from "./span.js";

let from = null; // the slot where the dragging began

const areas = () => [...document.querySelectorAll("#activity .slot")];
const indexOf = ({ target }) => areas().indexOf(target.closest?.(".slot"));
const show = (since, until) => go({ since, until, range: null, start: null });

onSpan(show);

document.addEventListener("pointerdown", (event) => {
  const index = indexOf(event);
  from = index < 0 || event.button ? null : index;
});

document.addEventListener("pointermove", (event) => {
  if (from === null) return;
  const index = indexOf(event);
  if (index >= 0) mark(Math.min(from, index), Math.max(from, index));
});

document.addEventListener("pointerup", (event) => {
  const [first, last] = [from, indexOf(event)].sort((one, other) => one - other);
  const isDragged = from !== null && first >= 0 && first !== last;
  from = null;
  mark(1, 0);
  if (!isDragged) return;
  const slots = slotsShown();
  const end = Date.parse(slots[last].at) + Date.parse(slots[1].at) - Date.parse(slots[0].at);
  show(slots[first].at, new Date(end).toISOString());
});

document.addEventListener("pointercancel", () => {
  from = null;
  mark(1, 0);
});

function mark(first, last) {
  areas().forEach((area, at) => area.classList.toggle("dragged", at >= first && at <= last));
}
