/* Cells of the tables, by the names that the columns give their renderers. */

import { element } from "./element.js";
import { dayOrHour, duration, moment } from "./time.js";
import { WORDS } from "./words.js";
import { write } from "./writing.js";

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

export const Took = ({ value }) => (isKnown(value) ? duration(value) : "–");

export const Ago = ({ value }) =>
  value ? element("span", { "data-ago": value, ref: fill, key: value, title: value }) : "–";

// What a pipeline does, and how its latest run that ended did.
export const Now = ({ value, data }) => {
  const counts = { LOST: data.lost, RUNNING: data.running };
  const count = counts[value] > 1 ? ` ${counts[value]}` : "";
  const look = { key: "status", className: `status status-${value.toLowerCase()}` };
  const parts = [element("span", look, WORDS[value] + count)];
  if (data.stalled) parts.push(element("span", { key: "stalled" }, `${data.stalled} stalled`));
  else if (data.running && value !== "RUNNING")
    parts.push(element("span", { key: "running" }, `${data.running} running`));
  if (data.ended) parts.push(ended(data.ended, value));
  return element("span", { className: "now" }, parts);
};

function ended({ status, at }, said) {
  const word = status === "ERROR" ? "last one failed " : "last one ok ";
  const since = element("span", { key: at, "data-ago": at, ref: fill });
  return element("span", { key: "ended" }, status === said ? "" : word, since);
}

// What a failure is by now; one that is open and was first seen lately is new.
export const Life = ({ value, data }) => {
  const status = value === "OPEN" && data.new ? "NEW" : value;
  const until = data.mutedUntil ? ` until ${dayOrHour(data.mutedUntil)}` : "";
  const title = data.mutedUntil ? `Until ${moment(data.mutedUntil)}` : undefined;
  return element("span", { className: `status status-${status.toLowerCase()}`, title }, WORDS[status] + until);
};

export const OfPipeline = ({ value, data }) =>
  data.pipelineId
    ? element("a", { className: "plain-link", href: `?pipeline=${data.pipelineId}` }, value)
    : value;

export const Count = ({ value }) => value.toLocaleString("en");

// How often a failure was seen in each of the last hours, this one to the right.
export const Hours = ({ value, data }) => {
  const most = Math.max(...value, 0);
  const total = value.reduce((sum, count) => sum + count, 0);
  const said = `${total} in the last 24 h, ${value.at(-1) || 0} of them in this hour`;
  const bars = value.map((count, index) =>
    element(
      "span",
      { key: index, title: hour(data.hoursSince, index, count) },
      element("span", { style: { height: count ? `${Math.max(12, (100 * count) / most)}%` : 0 } })
    )
  );
  return element("span", { className: "bars", role: "img", "aria-label": said }, bars);
};

const hour = (since, index, count) =>
  `${count} in the hour from ${moment(new Date(Date.parse(since) + index * 3600e3).toISOString())}`;

export const Versions = ({ value, data }) =>
  data.firstVersion === value ? value : `${data.firstVersion} → ${value}`;

// The latest runs, the newest to the right: shape and colour say how each ended.
export const Ticks = ({ value, data }) =>
  element(
    "span",
    { className: "ticks" },
    value.map((run) => mark(run, data.id))
  );

function mark({ id, status, started, runtime }, pipeline) {
  const said = tip(status, started, runtime);
  return element("a", {
    key: id,
    className: `tick tick-${status.toLowerCase()}`,
    href: `?${new URLSearchParams({ pipeline, process: id })}`,
    title: said,
    "aria-label": said,
    tabIndex: -1, // a row has twenty; its page has them as well
  });
}

function tip(status, started, runtime) {
  const took = isKnown(runtime) ? `, took ${duration(runtime)}` : "";
  return `${WORDS[status]}, started ${moment(started)}${took}`;
}

export const Success = ({ value, data }) =>
  isKnown(value)
    ? element(
        "span",
        { className: value < 1 ? "some" : "", title: `of ${data.ends} that ended in 24 h` },
        `${(100 * value).toFixed(1)}%`
      )
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
