/* What moves on with the time alone: times, durations, and the bars of what runs. */

import { offerActs } from "./acting.js";
import { moveTasks } from "./tasks.js";
import { writeAll } from "./writing.js";

const TICK_MILLISECONDS = 500;

export function moveOn() {
  moveTasks();
  offerActs();
  writeAll();
}

setInterval(moveOn, TICK_MILLISECONDS);
