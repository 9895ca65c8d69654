/* What is chosen, as the address says it: the parameter of each control and of each text. */

export const parameters = () => new URLSearchParams(window.location.search);

// The parameter of each control, what it is when nothing is chosen, and where the page begins that
// another choice has begin anew.
export const CHOICES = {
  range: { name: "range", usual: "1h" },
  condition: { name: "show", usual: "all", begin: "from" },
  presence: { name: "presence", usual: "all", begin: "from" },
  state: { name: "status", usual: "all", begin: "start" },
  period: { name: "period", usual: "any", begin: "start" },
  order: { name: "order", usual: "newest", begin: "start" },
  "failure-state": { name: "state", usual: "all", begin: "from" },
  "failure-sort": { name: "sort", usual: "attention", begin: "from" },
  compare: { name: "compare", usual: "" },
  against: { name: "against", usual: "" },
};

// What is typed, in the order that Dash has the fields.
export const TEXTS = [
  ["pipeline-name", "name"],
  ["worker-name", "name"],
  ["failure-text", "text"],
];

export const CUSTOM = "custom"; // in place of a range: a span that somebody chose

/** What the address says of a control. */
export function saidOf(id) {
  if (id === "range" && parameters().get("since")) return CUSTOM;
  const { name, usual } = CHOICES[id];
  return parameters().get(name) || usual;
}
