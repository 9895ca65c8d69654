/* Chips: what else narrows a list than its filters, and a way to be rid of it. */

import { parameters } from "./choices.js";
import { moment } from "./time.js";

/** Says what narrows the lists. */
export function nameChips({ root, worker, pipelineName }) {
  const address = parameters();
  const isNarrowed = root !== "overview" && !worker && address.get("pipeline");
  nameChip("pipeline", isNarrowed && `Pipeline ${pipelineName || "…"}`);
  nameChip("since until", address.get("since") && spanOf(address));
  nameChip("version", address.get("version") && `Version ${address.get("version")}`);
}

const spanOf = (address) =>
  [address.get("since"), address.get("until")].map((end) => moment(end, "full")).join(" to ");

/** Nothing is said of what does not narrow them. */
function nameChip(parameter, text) {
  for (const chip of document.querySelectorAll(`[data-drop="${parameter}"]`)) {
    chip.hidden = !text;
    chip.textContent = text ? `${text} ✕` : "";
  }
}
