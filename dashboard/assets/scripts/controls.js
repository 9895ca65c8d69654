/* The controls that offer a few words: a list, or all of them in sight. */

/** The value of a control; undefined while it is not drawn. */
export function valueOf(id) {
  const control = document.getElementById(id);
  return isList(control) ? control.value : control?.querySelector(CHOSEN)?.dataset.value;
}

/** Has a control say this value. */
export function setValue(id, value) {
  say(document.getElementById(id), value);
}

/** Has a control say a value, wherever it is. */
export function say(control, value) {
  if (isList(control)) {
    if (control.value !== value) control.value = value;
  } else if (control) {
    for (const segment of control.children) mark(segment, segment.dataset.value === value);
  }
}

/** Calls a function with the id of each control in which somebody chooses. */
export function onChoice(take) {
  takers.push(take);
}

const takers = [];
const CHOSEN = '[aria-checked="true"]';
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

const isList = (control) => control?.tagName === "SELECT";
const tell = ({ id }) => takers.forEach((take) => take(id));
const segmentAt = ({ target }) => target.closest?.(".segments > button");

// The one that is chosen is where the Tab key leads.
function mark(segment, isChosen) {
  segment.setAttribute("aria-checked", String(isChosen));
  segment.tabIndex = isChosen ? 0 : -1;
}

function choose(segment) {
  setValue(segment.parentElement.id, segment.dataset.value);
  tell(segment.parentElement);
}

document.addEventListener("change", ({ target }) => {
  if (target.matches?.("select.choice")) tell(target);
});

document.addEventListener("click", (event) => {
  const segment = segmentAt(event);
  if (segment) choose(segment);
});

document.addEventListener("keydown", (event) => {
  const [segment, step] = [segmentAt(event), STEPS[event.key]];
  if (!segment || !step) return;
  event.preventDefault();
  const all = [...segment.parentElement.children];
  const next = all[(all.indexOf(segment) + step + all.length) % all.length];
  next.focus();
  choose(next);
});
