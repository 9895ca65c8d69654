/* Cells of the tables, by the names that the columns give their renderers. */

import { write } from "./ticking.js";
import { duration } from "./time.js";

const WORDS = {
  ALIVE: "Alive",
  FINISHED: "Finished",
  LOST: "Lost",
  PENDING: "Pending",
  RUNNING: "Running",
  SUCCESS: "Succeeded",
  ERROR: "Failed",
  STALLED: "Stalled",
};

const element = (...parts) => window.React.createElement(...parts);
const fill = (node) => node && write(node);
const isKnown = (value) => value !== null && value !== undefined;

export const Status = ({ value, data }) => {
  const look = { className: `status status-${String(value).toLowerCase()}` };
  return element("span", { ...look, title: data?.reason || undefined }, WORDS[value]);
};

export const Moment = ({ value }) =>
  value ? element("time", { dateTime: value, ref: fill, key: value, title: value }) : "–";

// One that is alive is silent no longer than is usual; only other silence has a time of its own.
export const Seen = ({ value, data }) =>
  data.status === "ALIVE"
    ? element("span", { title: "Silent no longer than is usual" }, "lately")
    : element("span", { "data-ago": value, ref: fill, key: value, title: value });

export const Runtime = ({ value, data }) => {
  if (isKnown(value)) return data.status === "PENDING" ? "" : duration(value);
  return data.started
    ? element("span", { "data-since": data.started, ref: fill, key: data.started })
    : "–";
};

export const Share = ({ value }) =>
  isKnown(value)
    ? element("span", { className: value ? "some" : "" }, `${(100 * value).toFixed(1)}%`)
    : "–";

export const Progress = ({ value, data }) => {
  const width = `${Math.round(100 * value)}%`;
  const bar = element("span", { className: "progress-bar", style: { width } });
  return element(
    "span",
    { className: `progress status-${data.status.toLowerCase()}` },
    element("span", { className: "progress-track", "aria-hidden": true }, bar),
    width
  );
};

export const Id = ({ value }) =>
  element("span", { className: "id", title: value }, `…${value.slice(-8)}`);
