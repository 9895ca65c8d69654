/* The address: which view it names, and how choices change it. */

import { CHOICES, CUSTOM, parameters, saidOf, TEXTS } from "./choices.js";
import { onChoice, setValue, valueOf } from "./controls.js";
import { showAddress, unchanged } from "./dash.js";
import { askSpan } from "./span.js";

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

/** The texts for an address; one that is being typed is further than that. */
export function fill(search) {
  const address = new URLSearchParams(search || "");
  fillChoices();
  return TEXTS.map(([id, name]) =>
    document.activeElement?.id === id ? unchanged() : address.get(name) || ""
  );
}

/** Has the controls say what the address says. */
export function fillChoices() {
  for (const id of Object.keys(CHOICES)) setValue(id, saidOf(id));
}

/** Goes where the texts say that say something else than the address. */
export function type(...texts) {
  const changes = {};
  TEXTS.forEach(([, name], index) => {
    const text = texts[index] || "";
    if (text !== (parameters().get(name) || "")) Object.assign(changes, { [name]: text, from: null });
  });
  // Each letter that is typed would be a step back.
  if (Object.keys(changes).length) go(changes, { replace: true });
}

onChoice((id) => {
  if (!Object.hasOwn(CHOICES, id)) return;
  const [{ name, usual, begin }, value] = [CHOICES[id], valueOf(id)];
  const said = saidOf(id);
  if (value === said) return;
  if (value === CUSTOM) {
    setValue(id, said);
    askSpan();
    return;
  }
  const changes = id === "range" ? { since: null, until: null } : {};
  changes[name] = value === usual ? null : value;
  if (begin) changes[begin] = null;
  go(changes);
});
