/* Links and buttons that say by their attributes what they do, wherever they are drawn. */

import { follow, go } from "./address.js";
import { copy } from "./clipboard.js";
import { pageAfter } from "./pages.js";

const isPlain = (event) =>
  !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="?"]');
  if (link && isPlain(event)) {
    event.preventDefault();
    follow(link.getAttribute("href"));
    return;
  }
  const button = event.target.closest("[data-copy],[data-to],[data-drop]");
  if (!button) return;
  const { copy: text, list, to, drop } = button.dataset;
  if (text) copy(button, text);
  else if (list) go(pageAfter(list, to));
  else if (drop) go({ [drop]: null, start: null, from: null });
});
