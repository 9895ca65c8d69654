/* The address: which view it names, and how choices change it. */

import { setProps, showAddress, unchanged } from "./dash.js";
import { askSpan } from "./span.js";

// The controls, in the order that `fill` and `choose` have; the parameter of each, what it is when
// nothing is chosen, and where the page begins that another choice has begin anew.
const CONTROLS = [
  { name: "range", usual: "1h" },
  { name: "name", usual: "", begin: "from", id: "pipeline-name" },
  { name: "show", usual: "all", begin: "from" },
  { name: "name", usual: "", begin: "from", id: "worker-name" },
  { name: "presence", usual: "all", begin: "from" },
  { name: "status", usual: "all", begin: "start" },
  { name: "period", usual: "any", begin: "start" },
  { name: "order", usual: "newest", begin: "start" },
  { name: "text", usual: "", begin: "from", id: "failure-text" },
  { name: "state", usual: "all", begin: "from" },
  { name: "sort", usual: "attention", begin: "from" },
  { name: "compare", usual: "", id: "compare" },
  { name: "against", usual: "", id: "against" },
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

/** Shows the view of a link; the time shown stays, unless the link is about another one. */
export function follow(search, { now = false } = {}) {
  const wanted = new URLSearchParams(search);
  for (const name of now ? ["range"] : ["range", "since", "until"]) {
    const value = parameters().get(name);
    if (value && !wanted.get(name)) wanted.set(name, value);
  }
  goTo(wanted);
}

function goTo(wanted, { replace = false } = {}) {
  const text = wanted.toString();
  const search = text ? `?${text}` : "";
  // As it was written, it may look otherwise.
  if (text === parameters().toString()) return;
  if (replace) history.replaceState(null, "", search || window.location.pathname);
  showAddress(search);
}

/** The values of the controls for an address; a text that is being typed is further than that. */
export function fill(search) {
  const typed = document.activeElement?.id;
  const values = valuesOf(search);
  return values.map((value, index) =>
    typed && CONTROLS[index].id === typed ? unchanged() : value
  );
}

function valuesOf(search) {
  const address = new URLSearchParams(search || "");
  const values = CONTROLS.map(({ name, usual }) => address.get(name) || usual);
  if (address.get("since")) values[0] = CUSTOM;
  return values;
}

/** Goes where the controls say that say something else than the address. */
export function choose(...values) {
  const said = valuesOf(window.location.search);
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
  // Each letter that is typed would be a step back.
  if (Object.keys(changes).length) go(changes, { replace: "name" in changes || "text" in changes });
}
