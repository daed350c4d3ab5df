// Which models the server has, and which of them is asked.

import { about, models } from "../api/client.js";
import { byId, el } from "../lib/dom.js";
import { hideNotice, notice } from "./notice.js";
import { settings } from "../chat/settings.js";

const ASK_AGAIN = 2000; // ms between two looks for a server that is away

const select = byId("model");
let contexts = new Map(); // model → tokens

const listeners = [];

export const chosenModel = () => select.value;

/** Call `listener(about)` whenever it is known what the server has; see about() of the API. */
export const onModels = (listener) => listeners.push(listener);

export const haveModels = () => !select.disabled;

/** Ask the server once. Throws ApiError. */
export async function loadModels() {
  const [found, known] = await Promise.all([models(), about()]);
  contexts = new Map(found.map((model) => [model.id, model.context_length]));
  select.replaceChildren(...found.map(({ id }) => el("option", { value: id }, id)));
  select.disabled = false;
  if (contexts.has(settings.get("model"))) select.value = settings.get("model");
  showContext();
  for (const listener of listeners) listener(known);
}

/** Ask until the server answers: it may still be loading its model. Throws the ApiError of a missing key. */
export async function awaitModels() {
  for (let waited = false; ; waited = true) {
    try {
      await loadModels();
      if (waited) hideNotice();
      return;
    } catch (error) {
      if (error.kind === "key") throw error;
      notice(error.message, { calm: error.kind === "loading" });
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
    }
  }
}

function showContext() {
  const tokens = contexts.get(select.value);
  byId("context").textContent = tokens ? `${tokens.toLocaleString("en")} tokens of context` : "";
}

select.addEventListener("change", () => {
  settings.set({ model: select.value });
  showContext();
});
