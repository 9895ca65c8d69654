/* What a browser remembers of choices: of colours, and of the zone that times are written in. Both
   hold before anything is painted. */

import { setUtc } from "./time.js";

const USUAL = { theme: "auto", zone: "local" };

export const KEPT = Object.keys(USUAL);

const system = window.matchMedia("(prefers-color-scheme: dark)");

const keptAs = (id) => `monitor-${id}`;

export const chosen = (id) => localStorage.getItem(keptAs(id)) || USUAL[id];

/** Remembers a choice, and goes by it. */
export function keep(id, value) {
  localStorage.setItem(keptAs(id), value);
  apply();
}

function apply() {
  const theme = chosen("theme");
  const isDark = theme === "dark" || (theme === "auto" && system.matches);
  document.documentElement.dataset.scheme = isDark ? "dark" : "light";
  setUtc(chosen("zone") === "utc");
}

system.addEventListener("change", apply);
apply();
