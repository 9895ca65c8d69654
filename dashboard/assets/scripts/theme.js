/* The choice of colours, and of the zone that times are written in: a browser remembers both. */

import { draw } from "./chart.js";
import { onChoice, setValue, valueOf } from "./controls.js";
import { redrawRuntimes } from "./runtimes.js";
import { moveOn } from "./ticking.js";
import { setUtc } from "./time.js";

const USUAL = { theme: "auto", zone: "local" };

const system = window.matchMedia("(prefers-color-scheme: dark)");

const keptAs = (id) => `monitor-${id}`;
const chosen = (id) => localStorage.getItem(keptAs(id)) || USUAL[id];

/** Has the two controls say what was chosen. */
export function fillKept() {
  for (const id of Object.keys(USUAL)) setValue(id, chosen(id));
}

function colour() {
  const theme = chosen("theme");
  const isDark = theme === "dark" || (theme === "auto" && system.matches);
  document.documentElement.dataset.scheme = isDark ? "dark" : "light";
}

/** Writes all times anew. */
function writeTimes() {
  setUtc(chosen("zone") === "utc");
  moveOn();
  draw();
  redrawRuntimes();
}

onChoice((id) => {
  if (!(id in USUAL)) return;
  localStorage.setItem(keptAs(id), valueOf(id));
  if (id === "theme") colour();
  else writeTimes();
});
system.addEventListener("change", colour);
colour();
setUtc(chosen("zone") === "utc");
