/* Copying, with a word of how it went in place of the button's own. */

const SAID_MILLISECONDS = 1500;

export async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it to copy";
  }
  setTimeout(() => (button.textContent = label), SAID_MILLISECONDS);
}
