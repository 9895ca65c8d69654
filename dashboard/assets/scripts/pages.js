/* The pages of the lists: which there are, and how to get there. */

import { parameters } from "./choices.js";

// Of each list the parameter that says where its page begins, and who says where the next one does.
const LISTS = {
  pipelines: { begin: "from", next: "nextFrom" },
  workers: { begin: "from", next: "nextFrom" },
  failures: { begin: "from", next: "nextFrom" },
  processes: { begin: "start", next: "nextStart" },
};

let shown = null; // as the server says it last

/** The change of the address that leads to the first or to the next page. */
export function pageAfter(list, to) {
  const { begin, next } = LISTS[list];
  return { [begin]: to === "next" ? shown && shown[next] : null };
}

/** The pipeline that is looked at, also when the address names a process alone. */
export const pipelineShown = () => shown && shown.pipeline;

/** Writes which pages there are. */
export function markPages(told) {
  shown = told;
  for (const [list, { begin, next }] of Object.entries(LISTS)) {
    const [isLater, hasNext] = [Boolean(parameters().get(begin)), Boolean(told && told[next])];
    // One, and while there is a first picture of the page that of the picture.
    for (const pager of document.querySelectorAll(`[data-pager="${list}"]`)) {
      markPager(pager, isLater, hasNext);
    }
  }
}

function markPager({ children: [first, note, , later] }, isLater, hasNext) {
  first.disabled = !isLater;
  later.disabled = !hasNext;
  note.textContent = isLater ? "A later page" : "";
  first.hidden = later.hidden = first.disabled && later.disabled;
}
