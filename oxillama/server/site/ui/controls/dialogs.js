// The dialogs: settings, the API key, and the question before something is deleted.

import { byId } from "../lib/dom.js";
import { key } from "../api/key.js";
import { DEFAULTS, LIMITS, problemWith, settings } from "../chat/settings.js";

const FIELDS = Object.keys(DEFAULTS);
const input = (name) => byId(`set-${name}`);
const slider = (name) => byId(`slide-${name}`);

/** What the server does where nothing is said, as far as it is known. */
const defaults = { temperature: 1, top_p: 1 };

/** Say in the empty fields what holds then. */
export function showDefaults(known) {
  Object.assign(defaults, known);
  for (const name of ["temperature", "top_p"]) input(name).placeholder = String(defaults[name]);
}

const slide = (name) => (slider(name).value = input(name).value || defaults[name]);

function fill(values) {
  for (const name of FIELDS) {
    input(name).value = values(name);
    input(name).removeAttribute("aria-invalid");
  }
  for (const name of ["temperature", "top_p"]) slide(name);
  byId("set-theme").value = globalThis.theme.choice;
  show("");
}

function show(problem) {
  byId("settings-problem").textContent = problem;
  byId("settings-problem").hidden = !problem;
}

/** Take what is written over, or say what is wrong with it. */
function take() {
  const values = Object.fromEntries(FIELDS.map((name) => [name, input(name).value]));
  for (const name of Object.keys(LIMITS)) {
    const noNumber = input(name).validity.badInput ? `${LIMITS[name].name} is a number, or empty.` : "";
    const wrong = noNumber || problemWith(name, values[name]);
    input(name).setAttribute("aria-invalid", String(Boolean(wrong)));
    if (!wrong) continue;
    show(wrong);
    input(name).focus();
    return false;
  }
  show("");
  settings.set(values);
  return true;
}

/** Wire the settings dialog; `askForKey()` opens the other one. */
export function startSettings(askForKey) {
  const dialog = byId("settings");
  const open = () => {
    fill(settings.get);
    dialog.showModal();
  };
  byId("settings-open").addEventListener("click", open);
  byId("settings-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (take()) dialog.close();
  });
  byId("settings-close").addEventListener("click", () => take() && dialog.close());
  dialog.addEventListener("cancel", (event) => take() || event.preventDefault()); // Escape loses nothing either
  byId("settings-reset").addEventListener("click", () => fill((name) => DEFAULTS[name]));
  byId("set-theme").addEventListener("change", (event) => globalThis.theme.choose(event.target.value));
  byId("key-change").addEventListener("click", () => {
    if (!take()) return;
    dialog.close();
    askForKey();
  });
  for (const name of ["temperature", "top_p"]) {
    slider(name).addEventListener("input", () => (input(name).value = slider(name).value));
    input(name).addEventListener("input", () => slide(name));
  }
  closeOutside(dialog, () => take() && dialog.close());
}

/** Ask for the key, and why; true once one was given. `check()` throws when the server does not take it. */
export function askForKey(reason, check) {
  const dialog = byId("key");
  const form = byId("key-form");
  const field = byId("key-value");
  const show = (problem) => {
    byId("key-problem").textContent = problem;
    byId("key-problem").hidden = !problem;
  };
  if (dialog.open) return Promise.resolve(false);
  field.value = "";
  byId("key-keep").checked = key.kept;
  show(reason);
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    const before = { value: key.value, kept: key.kept };
    const listeners = new AbortController();
    const { signal } = listeners;
    let given = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!/^[\x21-\x7e]+$/.test(field.value.trim())) {
        show("A key is made of letters, digits and signs, without spaces.");
        return;
      }
      key.set(field.value.trim(), byId("key-keep").checked);
      try {
        await check();
        given = true;
        dialog.close();
      } catch (error) {
        key.set(before.value, before.kept);
        show(error.message);
        field.select();
      }
    }, { signal });
    byId("key-cancel").addEventListener("click", () => dialog.close(), { signal });
    dialog.addEventListener("close", () => {
      listeners.abort();
      field.value = "";
      resolve(given);
    }, { signal });
  });
}

/** Whether to delete what `title` names. */
export function confirmDeletion(title) {
  const dialog = byId("confirm");
  byId("confirm-note").textContent = `“${title}” cannot be brought back.`;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Close on a click beside the dialog; not on one that begins inside, as when text is selected, and ends there. */
export function closeOutside(dialog, close) {
  let beganOutside = false;
  dialog.addEventListener("pointerdown", (event) => (beganOutside = event.target === dialog));
  dialog.addEventListener("click", (event) => event.target === dialog && beganOutside && close());
}
