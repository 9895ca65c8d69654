/* The address: which view it names, and how choices change it. */

import { causes, showAddress } from "./dash.js";

// In the order of the controls that `fill` and `choose` serve.
const USUAL = {
  range: "1h",
  name: "",
  presence: "all",
  status: "all",
  period: "any",
  order: "newest",
};

const parameters = () => new URLSearchParams(window.location.search);

/** Shows something else; parameters without a value go. */
export function go(changes, { replace = false } = {}) {
  const wanted = parameters();
  for (const [name, value] of Object.entries(changes)) {
    if (value) wanted.set(name, value);
    else wanted.delete(name);
  }
  const text = wanted.toString();
  const search = text ? `?${text}` : "";
  if (search === window.location.search) return;
  if (replace) history.replaceState(null, "", search || window.location.pathname);
  showAddress(search);
}

/** The values of the controls for an address. */
export function fill(search) {
  const address = new URLSearchParams(search || "");
  return Object.keys(USUAL).map((name) => address.get(name) || USUAL[name]);
}

/** Goes where the controls and the buttons of the pager say. */
export function choose(range, name, presence, status, period, order, next, first, shown) {
  const cause = causes();
  if (cause.includes("next-page")) return void go({ start: shown.nextStart });
  if (cause.includes("first-page")) return void go({ start: null });
  const chosen = { range, name: name || "", presence, status, period, order };
  const changes = {};
  for (const [key, value] of Object.entries(chosen))
    changes[key] = value === USUAL[key] ? null : value;
  // `fill` writes the choices of an address here as well; only other ones begin a new list.
  const address = parameters();
  if (["status", "period", "order"].some((key) => (changes[key] || null) !== address.get(key)))
    changes.start = null;
  go(changes, { replace: cause.includes("name") });
}

/** The filter of the workers' table for an address. */
export function filter(search) {
  const address = new URLSearchParams(search || "");
  const model = {};
  if (address.get("name"))
    model.name = { filterType: "text", type: "contains", filter: address.get("name") };
  if (["alive", "finished", "lost"].includes(address.get("presence")))
    model.status = { filterType: "text", type: "equals", filter: address.get("presence") };
  return model;
}
