/* A span of time that somebody chooses by its ends. */

const MOST_DAYS = 800; // as the server has it

let dialog = null;
let chosen = () => {};

/** Tells what to do with a span that was chosen: its ends as instants. */
export function onSpan(take) {
  chosen = take;
}

/** Asks for the span. */
export function askSpan() {
  dialog ??= build();
  dialog.querySelector("output").textContent = "";
  dialog.showModal();
}

function build() {
  const element = document.createElement("dialog");
  element.className = "asker";
  element.setAttribute("aria-label", "Time shown");
  element.innerHTML = `
    <form method="dialog">
      <h2>Time shown, in this browser's time zone</h2>
      <label>From <input type="datetime-local" name="since" required></label>
      <label>Until <input type="datetime-local" name="until" required></label>
      <output role="status"></output>
      <div class="asker-buttons">
        <button type="button" class="cancel">Cancel</button>
        <button type="submit">Show</button>
      </div>
    </form>`;
  document.body.append(element);
  element.querySelector(".cancel").addEventListener("click", () => element.close());
  element.querySelector("form").addEventListener("submit", take);
  return element;
}

function take(event) {
  const { since, until } = event.target.elements;
  const ends = [since, until].map(({ value }) => new Date(value));
  const fault = faultOf(ends);
  dialog.querySelector("output").textContent = fault;
  if (fault) event.preventDefault();
  else chosen(...ends.map((end) => end.toISOString()));
}

function faultOf([since, until]) {
  if (since >= until) return "It has to begin before it ends.";
  return until - since > MOST_DAYS * 86_400_000 ? `${MOST_DAYS} days at most.` : "";
}
