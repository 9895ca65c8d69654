/* How far each panel can be trusted, in words; nothing is said of those that are live. */

import { moment } from "./time.js";

export const POLL_SECONDS = 15;

const REFRESHED = `Refreshed every ${POLL_SECONDS} s`;
/** Writes beside the title of each panel what is to be said of it. */
export function note(panels) {
  for (const place of document.querySelectorAll("[data-panel]")) {
    const panel = panels[place.dataset.panel];
    const [text, tone] = inWords(panel);
    if (place.textContent !== text) place.textContent = text;
    place.className = tone ? `freshness freshness-${tone}` : "freshness";
    place.title = text;
    const { dataset } = place.closest(".part, .panel");
    dataset.freshness = panel ? panel.state : "";
    dataset.asOf = panel?.asOf || "";
  }
}

/** The worst of the panels, in words and their tone; null when all of them are live. */
export function worst(panels) {
  const inState = (state) => Object.keys(panels).filter((name) => panels[name].state === state);
  const [stale, refreshed] = [inState("stale"), inState("refreshed")];
  if (stale.length) return [`Not up to date: ${stale.join(", ")}`, "late"];
  if (!refreshed.length) return null;
  const isAll = refreshed.length === Object.keys(panels).length;
  return [isAll ? REFRESHED : `${REFRESHED}: ${refreshed.join(", ")}`, "refreshed"];
}

/** The panels as they are to a tab that hears nothing, or hears only when it asks. */
export function seenFrom(panels, { heardAt, isLive }) {
  const seen = {};
  for (const [name, panel] of Object.entries(panels)) {
    if (heardAt) seen[name] = silent(panel, heardAt);
    else seen[name] = !isLive && panel.state === "live" ? { state: "refreshed" } : panel;
  }
  return seen;
}

const silent = (panel, heardAt) =>
  panel.state === "stale" ? panel : { state: "stale", asOf: panel.asOf && heardAt };

function inWords(panel) {
  // What is loading says so where it will be.
  if (!panel || panel.state === "live" || panel.state === "loading") return ["", ""];
  if (panel.state === "refreshed") return [REFRESHED, "refreshed"];
  const when = panel.asOf ? `As of ${moment(new Date(panel.asOf).toISOString())}` : "Not loaded";
  return [panel.problem ? `${when}: ${panel.problem}` : when, "stale"];
}
