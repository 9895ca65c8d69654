/* The address: which view it names, and how choices change it. */

import { setProps, showAddress } from "./dash.js";
import { askSpan } from "./span.js";

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

const CUSTOM = "custom"; // in place of a range: a span that somebody chose

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
  for (const name of ["range", "since", "until"]) {
    const value = parameters().get(name);
    if (value && !wanted.get(name)) wanted.set(name, value);
  }
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
  const values = CONTROLS.map(({ name, usual }) => address.get(name) || usual);
  if (address.get("since")) values[0] = CUSTOM;
  return values;
}

/** Goes where the controls say that say something else than the address. */
export function choose(...values) {
  const said = fill(window.location.search);
  if (values[0] === CUSTOM && said[0] !== CUSTOM) {
    setProps("range", { value: said[0] });
    askSpan();
    return;
  }
  const changes = values[0] === said[0] ? {} : { since: null, until: null };
  CONTROLS.forEach(({ name, usual, begin }, index) => {
    const value = values[index] || "";
    if (value === said[index]) return;
    changes[name] = value === usual ? null : value;
    if (begin) changes[begin] = null;
  });
  // Each letter of a name would be a step back.
  go(changes, { replace: "name" in changes });
}
