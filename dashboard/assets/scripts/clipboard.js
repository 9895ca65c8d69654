/* Copying, with a word of how it went in place of the button's own. */

const SAID_MILLISECONDS = 1500;

const labels = new WeakMap(); // of the buttons that say something else for now
const timers = new WeakMap();

export async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers have no clipboard for pages over plain HTTP, and may refuse it to others.
    return offer(button, text);
  }
  say(button, "Copied");
  timers.set(button, setTimeout(sayAgain, SAID_MILLISECONDS, button));
}

function say(button, text) {
  clearTimeout(timers.get(button));
  if (!labels.has(button)) labels.set(button, button.textContent);
  button.textContent = text;
}

function sayAgain(button) {
  if (!labels.has(button)) return;
  button.textContent = labels.get(button);
  labels.delete(button);
}

/** Shows the text, selected, until something else is focused. */
function offer(button, text) {
  say(button, howToCopy());
  const field = document.createElement("textarea");
  const rows = text.includes("\n") ? 3 : 1;
  Object.assign(field, { className: "to-copy", readOnly: true, rows, value: text });
  field.setAttribute("aria-label", `Selected. ${howToCopy()}`);
  field.addEventListener("blur", () => {
    field.remove();
    sayAgain(button);
  });
  button.after(field);
  field.select();
}

function howToCopy() {
  if (matchMedia("(pointer: coarse)").matches) return "Copy what is selected";
  return navigator.platform.startsWith("Mac") ? "Press ⌘C to copy" : "Press Ctrl+C to copy";
}
