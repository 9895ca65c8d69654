/* Buttons that say by their attributes what they do, wherever they are drawn. */

import { go } from "./address.js";
import { copy } from "./clipboard.js";

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy],[data-process],[data-go]");
  if (!button) return;
  const { copy: text, process, go: level } = button.dataset;
  if (text) copy(button, text);
  else if (process) go({ process });
  else if (level === "overview") go({ worker: null, process: null, start: null });
  else if (level === "worker") go({ process: null });
});
