/* The choice of colours, and of the zone that times are written in. */

import { draw } from "./chart.js";
import { redrawRuntimes } from "./runtimes.js";
import { moveOn } from "./ticking.js";
import { setUtc } from "./time.js";

/** The scheme to force; none follows the system. */
export const scheme = (choice) => (choice === "auto" ? undefined : choice);

/** Writes all times anew. */
export function zone(choice) {
  setUtc(choice === "utc");
  moveOn();
  draw();
  redrawRuntimes();
  return choice;
}
