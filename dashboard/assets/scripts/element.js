/* Elements of the cells: React's where AG Grid draws them, the browser's own in the first picture. */

let create = (...parts) => window.React.createElement(...parts);

export const element = (...parts) => create(...parts);

/** Calls a function whose elements are the browser's own. */
export function withNodes(draw) {
  const before = create;
  create = node;
  try {
    return draw();
  } finally {
    create = before;
  }
}

/** An element of the document, by what React would be told. */
export function node(name, { ref, style, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) setAttribute(made, key, value);
  Object.assign(made.style, style);
  made.append(...children.flat().filter(isSeen));
  ref?.(made);
  return made;
}

const isSeen = (child) => child !== null && child !== undefined && child !== false;

function setAttribute(made, key, value) {
  if (key === "key" || value === undefined || value === null) return;
  if (key === "className") made.className = value;
  else made.setAttribute(key, value); // in HTML, case is no difference
}
