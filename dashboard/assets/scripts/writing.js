/* Writes what moves on with the time alone: elements say by their attributes what they tell. */

import { ago, moment, now, running } from "./time.js";
import { beyond, ending } from "./usual.js";

/** Writes the time that an element names by its attributes. */
export function write(element) {
  const { since, ago: then, over, ends } = element.dataset;
  let text;
  if (since) text = running(Math.max(0, (now() - Date.parse(since)) / 1000));
  else if (then) text = ago((now() - Date.parse(then)) / 1000);
  else if (over) text = beyond(element);
  else if (ends) text = ending(element);
  else if (element.dateTime) text = moment(element.dateTime, element.dataset.form);
  else return;
  if (element.textContent !== text) element.textContent = text;
}

/** Writes all such times. */
export function writeAll() {
  document.querySelectorAll("[data-since],[data-ago],[data-over],[data-ends],time").forEach(write);
}
