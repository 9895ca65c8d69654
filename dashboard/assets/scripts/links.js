/* Links and buttons that say by their attributes what they do, wherever they are drawn. */

import { follow, go } from "./address.js";
import { parameters } from "./choices.js";
import { copy } from "./clipboard.js";
import { pageAfter, pipelineShown } from "./pages.js";

const isPlain = (event) =>
  !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);

document.addEventListener("click", (event) => {
  const file = event.target.closest("a[data-export]");
  if (file) return addFilter(file);
  const link = event.target.closest('a[href^="?"]');
  if (link && isPlain(event)) {
    event.preventDefault();
    // The totals are of now, whatever span the chart shows.
    follow(link.getAttribute("href"), { now: link.classList.contains("tile") });
    return;
  }
  const button = event.target.closest("[data-copy],[data-to],[data-drop]");
  if (!button) return;
  const { copy: text, list, to, drop } = button.dataset;
  if (text) copy(button, text);
  else if (list) go(pageAfter(list, to));
  else if (drop) go(without(drop.split(" ")));
});

const without = (names) => ({
  ...Object.fromEntries(names.map((name) => [name, null])),
  start: null,
  from: null,
});

/** A file has what the list is narrowed to, also by the pipeline of a process that was named alone. */
function addFilter(file) {
  const wanted = new URLSearchParams(file.getAttribute("href").split("?")[1]);
  const asked = new URLSearchParams([["table", wanted.get("table")], ["format", wanted.get("format")]]);
  for (const [name, value] of parameters()) asked.set(name, value);
  const pipeline = pipelineShown();
  if (pipeline) asked.set("pipeline", pipeline);
  file.href = `export?${asked}`;
}
