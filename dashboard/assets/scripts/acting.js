/* What an administrator may do: offered where something says that it can be done, asked once more,
   and done by the server, which looks at the role again. */

const ACTS = {
  endProcess: {
    label: "End it as failed",
    title: "End this run as failed?",
    text: "It counts as failed from then on. A worker that is still at it may go on reporting its steps.",
    needsReason: true,
  },
  archiveWorker: {
    label: "Archive",
    title: "Archive this worker?",
    text: "It leaves the lists and counts until it reports again. Its runs stay.",
  },
  archiveFinished: {
    label: "Archive finished workers",
    title: "Archive all finished workers of this pipeline?",
    text: "They leave the lists and counts until they report again. Their runs stay.",
  },
  resolveFailure: {
    label: "Resolve",
    title: "Resolve this failure?",
    text: "It is dealt with, until it is seen again: then it has regressed, and stands first.",
    isMild: true,
  },
  muteFailure: {
    label: "Mute …",
    title: "Mute this failure?",
    text: "It goes on being counted, but stands behind all that is open, and alerts nobody.",
    needsPeriod: true,
    isMild: true,
  },
  reopenFailure: {
    label: "Reopen",
    title: "Reopen this failure?",
    text: "It is open again, as if nobody had resolved or muted it.",
    isMild: true,
  },
};

const RETRY_MILLISECONDS = 15_000;

let role = null;
let dialog = null;
let asked = null; // what the dialog is about: { action, id, key }

/** Puts a button where something can be done, for who may. */
export function offerActs() {
  if (role !== "admin") return;
  for (const place of document.querySelectorAll("[data-act]")) {
    // React makes a place that of another act, and leaves the button in it.
    const button = place.firstChild ?? place.appendChild(document.createElement("button"));
    const { label, isMild } = ACTS[place.dataset.act];
    if (button.textContent === label) continue;
    Object.assign(button, { className: isMild ? "act mild" : "act", type: "button" });
    button.textContent = label;
  }
}

async function learnRole() {
  try {
    const answer = await fetch("session");
    if (answer.ok) ({ role } = await answer.json());
    offerActs();
  } catch {
    // The dashboard is gone, which is said already; without a role nothing is offered.
    setTimeout(learnRole, RETRY_MILLISECONDS);
  }
}

learnRole();

document.addEventListener("click", ({ target }) => {
  const place = target.closest?.(".act") && target.closest("[data-act]");
  if (place) ask(place.dataset.act, place.dataset.id);
});

function ask(action, id) {
  dialog ??= build();
  asked = { action, id, key: newKey() };
  const { label, title, text, needsReason, needsPeriod, isMild } = ACTS[action];
  part("h2").textContent = title;
  part("p").textContent = text;
  part(".reason").hidden = !needsReason;
  part(".period").hidden = !needsPeriod;
  part("textarea").required = Boolean(needsReason);
  part("textarea").value = "";
  part(".do").textContent = label.replace(" …", "");
  part(".do").classList.toggle("mild", Boolean(isMild));
  become("asking");
  dialog.showModal();
}

const part = (selector) => dialog.querySelector(selector);

// Browsers make ids of their own only for pages that came over TLS.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function build() {
  const element = document.createElement("dialog");
  element.className = "asker";
  element.setAttribute("aria-labelledby", "asker-title");
  element.innerHTML = `
    <form method="dialog">
      <h2 id="asker-title"></h2>
      <p></p>
      <label class="reason">Reason, for whoever looks at it later
        <textarea rows="2" maxlength="500"></textarea></label>
      <label class="period">For
        <select>
          <option value="1h">1 hour</option>
          <option value="1d">1 day</option>
          <option value="1w">1 week</option>
          <option value="ever">ever, until somebody reopens it</option>
        </select></label>
      <output role="status"></output>
      <div class="asker-buttons">
        <button type="button" class="cancel">Cancel</button>
        <button type="submit" class="do"></button>
      </div>
    </form>`;
  document.body.append(element);
  element.querySelector("form").addEventListener("submit", act);
  element.querySelector(".cancel").addEventListener("click", () => element.close());
  return element;
}

/** asking, acting, or done: what the dialog can be left by. */
function become(state, said = "") {
  part("output").textContent = said;
  part(".do").hidden = state === "done";
  part(".do").disabled = state === "acting";
  part(".cancel").textContent = state === "done" ? "Close" : "Cancel";
}

async function act(event) {
  event.preventDefault();
  become("acting", "Working …");
  const { action, id, key } = asked;
  const wanted = { action, id, key };
  if (ACTS[action].needsReason) wanted.reason = part("textarea").value.trim();
  if (ACTS[action].needsPeriod) wanted.period = part("select").value;
  try {
    const answer = await fetch("act", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(wanted),
    });
    const told = await answer.json();
    if (asked.key !== key) return; // the dialog is about something else by now
    if (answer.ok) become("done", told.message);
    else become("asking", told.detail);
  } catch {
    // Trying again is safe: the key is the same.
    if (asked.key === key) become("asking", "The dashboard cannot be reached. Try again.");
  }
}
