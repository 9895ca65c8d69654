/* Finding a pipeline by its name, anything by its id, or what failed by the words of its error:
   Ctrl-K or "/". */

import { follow } from "./address.js";
import { moment } from "./time.js";
import { WORDS } from "./words.js";

const TYPED_MILLISECONDS = 120; // until the next letter, while somebody types

let dialog = null;
let asked = 0; // the number of the latest question
let timer = 0;
let chosen = null; // what the arrow keys went to
let found = null; // the text that the options are of; none while they are not known

/** Opens the search, with what is found without a word: the first pipelines. */
export function openFind() {
  dialog ??= build();
  if (dialog.open) return;
  field().value = "";
  dialog.showModal();
  ask();
}

const field = () => dialog.querySelector("input");
const list = () => dialog.querySelector("[role=listbox]");
const options = () => [...list().children];

function build() {
  const element = document.createElement("dialog");
  element.className = "finder";
  element.setAttribute("aria-label", "Find");
  element.innerHTML = `
    <input type="text" role="combobox" aria-expanded="true" aria-controls="found"
      aria-autocomplete="list" aria-label="Name of a pipeline, words of an error, or an id" maxlength="256"
      placeholder="Pipeline, words of an error, or an id" autocomplete="off" spellcheck="false">
    <div id="found" role="listbox" aria-label="Found"></div>
    <p class="empty" role="status"></p>`;
  document.body.append(element);
  const input = element.querySelector("input");
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, TYPED_MILLISECONDS);
    chosen = found = null;
  });
  input.addEventListener("keydown", move);
  element.addEventListener("click", ({ target }) => {
    const option = target.closest("[role=option]");
    if (option) choose(option);
    else if (target === element) element.close(); // beside it
  });
  return element;
}

/** Asks for what the text leads to; an answer that a later question overtook is left out. */
async function ask() {
  const [number, text] = [++asked, field().value];
  clearTimeout(timer);
  say("Searching …");
  try {
    const answer = await fetch(`find?text=${encodeURIComponent(text)}`);
    const told = await answer.json();
    if (number !== asked) return;
    draw(told.found || []);
    if (answer.ok) found = text;
    if (told.note || !answer.ok) say(told.note || told.detail);
  } catch {
    if (number !== asked) return;
    draw([]);
    say("The dashboard cannot be reached.");
  }
}

const say = (text) => {
  dialog.querySelector("p").textContent = text;
};

function draw(results) {
  list().replaceChildren(...results.map(optionOf));
  say(results.length ? "" : "Nothing found: a part of a pipeline's name, words of an error, or a whole id.");
  mark(options().find((option) => option.dataset.search === chosen) || options()[0]);
}

function optionOf({ kind, name, search, status, line, at }, index) {
  const option = document.createElement("div");
  option.id = `found-${index}`;
  option.setAttribute("role", "option");
  option.dataset.search = search;
  const label = document.createElement("span");
  label.textContent = name;
  const hint = document.createElement("span");
  hint.className = status ? `status status-${status.toLowerCase()}` : "hint";
  hint.textContent = status ? WORDS[status] : kind;
  option.append(label, hint);
  if (line) {
    const below = document.createElement("small");
    below.textContent = at ? `${line} · ${moment(at)}` : line;
    option.append(below);
  }
  return option;
}

function mark(option) {
  for (const each of options()) each.setAttribute("aria-selected", String(each === option));
  if (option) field().setAttribute("aria-activedescendant", option.id);
  else field().removeAttribute("aria-activedescendant");
  option?.scrollIntoView({ block: "nearest" });
}

function move(event) {
  if (event.isComposing) return; // letters of another script, which the keys belong to
  const all = options();
  const at = all.indexOf(marked());
  if (event.key === "Enter") chooseMarked();
  else if (event.key === "ArrowDown") moveTo(all[(at + 1) % all.length]);
  else if (event.key === "ArrowUp") moveTo(all[(at - 1 + all.length) % all.length]);
  else return;
  event.preventDefault();
}

function moveTo(option) {
  chosen = option?.dataset.search;
  mark(option);
}

const marked = () => options().find((each) => each.getAttribute("aria-selected") === "true");

/** What is marked is of the text that stands there: else it is asked for first. */
async function chooseMarked() {
  if (found !== field().value) await ask();
  if (found === field().value && marked()) choose(marked());
}

function choose(option) {
  dialog.close();
  follow(option.dataset.search);
}

const isTyping = ({ target }) => target.closest?.("input,textarea,select,[contenteditable]");

document.addEventListener("keydown", (event) => {
  const isShortcut = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
  if (!isShortcut && (event.key !== "/" || isTyping(event))) return;
  event.preventDefault();
  openFind();
});

document.addEventListener("click", ({ target }) => {
  if (target.closest?.("#find")) openFind();
});
