// The sampling settings that are sent to the server, stored in this browser.

const NAME = "oxillama.settings";

/** "" stands for "not said": the server decides, by its settings and by what the model's file recommends. */
export const DEFAULTS = { system: "", temperature: "", top_p: "", max_tokens: "", seed: "" };

export const LIMITS = {
  temperature: { min: 0, max: 2, whole: false, name: "Temperature" },
  top_p: { min: 0, max: 1, whole: false, name: "Top P" },
  max_tokens: { min: 1, max: 2 ** 31 - 1, whole: true, name: "Longest answer" },
  seed: { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, whole: true, name: "Seed" },
};

/** What is wrong with a field's text, in one line; "" if nothing is. */
export function problemWith(field, text) {
  const limit = LIMITS[field];
  if (!limit || text.trim() === "") return "";
  const value = Number(text);
  if (!Number.isFinite(value) || (limit.whole && !Number.isSafeInteger(value)))
    return `${limit.name} is a ${limit.whole ? "whole " : ""}number, or empty.`;
  if (value < limit.min || value > limit.max) return `${limit.name} goes from ${limit.min} to ${limit.max}.`;
  return "";
}

function read() {
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(NAME)) ?? {};
  } catch {
    // nothing stored, or not by us
  }
  const found = { ...DEFAULTS, model: "" };
  for (const name of Object.keys(found))
    if (typeof stored[name] === "string" && !problemWith(name, stored[name])) found[name] = stored[name];
  return found;
}

const values = read();

export const settings = {
  get: (name) => values[name],
  set(changes) {
    Object.assign(values, changes);
    try {
      localStorage.setItem(NAME, JSON.stringify(values));
    } catch {
      // lasts as long as the page
    }
  },
  /** The request's sampling fields: only what was said. */
  sampling() {
    const said = {};
    for (const field of Object.keys(LIMITS)) if (values[field].trim() !== "") said[field] = Number(values[field]);
    return said;
  },
};
