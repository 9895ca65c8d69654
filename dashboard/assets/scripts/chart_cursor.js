/* The chart by keyboard, and by touch: one slot is marked, and said in words. */

// By how many slots a key moves on.
const STEPS = {
  ArrowLeft: -1,
  ArrowRight: 1,
  ArrowDown: -1,
  ArrowUp: 1,
  PageDown: -10,
  PageUp: 10,
  Home: -Infinity,
  End: Infinity,
};

let slots = []; // as drawn, each with when it begins (at) and its words
let markedAt = null; // when the marked slot begins; none: the last one, whichever that is

/** Marks a slot in a chart that was drawn anew. */
export function markSlot(box, drawn) {
  slots = drawn;
  mark(box);
}

function mark(box) {
  const index = markedIndex();
  box.setAttribute("aria-valuemax", slots.length - 1);
  box.setAttribute("aria-valuenow", index);
  box.setAttribute("aria-valuetext", slots[index].words);
  const said = box.querySelector(".chart-said");
  said.textContent = slots[index].words;
  // It hides no bar that it speaks of.
  said.classList.toggle("at-left", index >= slots.length / 2);
  areas(box).forEach((area, at) => area.classList.toggle("marked", at === index));
}

// The slots move on with the time: a marked one that is gone is followed by the first one.
function markedIndex() {
  if (!markedAt) return slots.length - 1;
  return Math.max(0, slots.findIndex(({ at }) => at === markedAt));
}

function moveTo(box, index) {
  const last = slots.length - 1;
  const wanted = Math.min(Math.max(index, 0), last);
  markedAt = wanted === last ? null : slots[wanted].at;
  mark(box);
}

const areas = (box) => [...box.querySelectorAll(".slot")];

document.addEventListener("keydown", (event) => {
  const { target: box, key } = event;
  if (box.id !== "activity" || !slots.length || !Object.hasOwn(STEPS, key)) return;
  event.preventDefault(); // they would scroll
  moveTo(box, markedIndex() + STEPS[key]);
});

document.addEventListener("click", ({ target }) => {
  const box = target.closest("#activity");
  const index = box ? areas(box).indexOf(target) : -1;
  if (index >= 0) moveTo(box, index);
});
