/* Runs the code of the page, which its document holds in a template, once the first picture of the
   page was painted: to run it takes long, and until then nothing would be. */

const PATIENCE_MILLISECONDS = 500; // for a paint, which may not come

let isStarted = false;

function start() {
  if (isStarted) return;
  isStarted = true;
  for (const { attributes, textContent } of document.getElementById("code").content.querySelectorAll("script")) {
    const script = document.createElement("script"); // one out of a template does not run
    for (const { name, value } of attributes) script.setAttribute(name, value);
    script.textContent = textContent;
    script.async = false; // in their order
    document.body.append(script);
  }
}

// Behind the frame, not in it. A tab in the background has none.
if (document.hidden) start();
else requestAnimationFrame(() => setTimeout(start));
setTimeout(start, PATIENCE_MILLISECONDS);
