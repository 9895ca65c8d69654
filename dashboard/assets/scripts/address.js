/* The address: which view it names, and how choices change it. */

import { showAddress } from "./dash.js";

// The controls, in the order that `fill` and `choose` have; the parameter of each, what it is when
// nothing is chosen, and where the page begins that another choice has begin anew.
const CONTROLS = [
  { name: "range", usual: "1h" },
  { name: "name", usual: "", begin: "from" }, // of pipelines
  { name: "show", usual: "all", begin: "from" },
  { name: "name", usual: "", begin: "from" }, // of workers
  { name: "presence", usual: "all", begin: "from" },
  { name: "status", usual: "all", begin: "start" },
  { name: "period", usual: "any", begin: "start" },
  { name: "order", usual: "newest", begin: "start" },
];

export const parameters = () => new URLSearchParams(window.location.search);

/** Shows something else; parameters without a value go. */
export function go(changes, options) {
  const wanted = parameters();
  for (const [name, value] of Object.entries(changes)) {
    if (value) wanted.set(name, value);
    else wanted.delete(name);
  }
  goTo(wanted, options);
}

/** Shows the view of a link; how long the time shown is stays. */
export function follow(search) {
  const wanted = new URLSearchParams(search);
  const range = parameters().get("range");
  if (range && !wanted.get("range")) wanted.set("range", range);
  goTo(wanted);
}

function goTo(wanted, { replace = false } = {}) {
  const text = wanted.toString();
  const search = text ? `?${text}` : "";
  if (search === window.location.search) return;
  if (replace) history.replaceState(null, "", search || window.location.pathname);
  showAddress(search);
}

/** The values of the controls for an address. */
export function fill(search) {
  const address = new URLSearchParams(search || "");
  return CONTROLS.map(({ name, usual }) => address.get(name) || usual);
}

/** Goes where the controls say that say something else than the address. */
export function choose(...values) {
  const said = fill(window.location.search);
  const changes = {};
  CONTROLS.forEach(({ name, usual, begin }, index) => {
    const value = values[index] || "";
    if (value === said[index]) return;
    changes[name] = value === usual ? null : value;
    if (begin) changes[begin] = null;
  });
  // Each letter of a name would be a step back.
  go(changes, { replace: "name" in changes });
}
