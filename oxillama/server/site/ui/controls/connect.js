// What another program needs to use this server: the base URL, the model's id, and a command to try them with.

import { at } from "../api/client.js";
import { byId, copyButton, quoted } from "../lib/dom.js";
import { closeOutside } from "./dialogs.js";
import { announce } from "./notice.js";

function command(model, needsKey) {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
  const lines = [`curl ${quoted(at("v1/chat/completions").href)}`, "-H 'Content-Type: application/json'"];
  if (needsKey) lines.push('-H "Authorization: Bearer $OPENAI_API_KEY"');
  lines.push(`-d ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

/** Wire the panel; `model()`: the id that is chosen, `needsKey()`: whether the server asks for a key. */
export function startConnect(model, needsKey) {
  const dialog = byId("connect");
  for (const name of ["url", "model", "curl"]) {
    const holder = byId(`connect-${name}`);
    holder.after(copyButton(holder.getAttribute("aria-label"), () => holder.textContent, announce));
  }
  byId("connect-open").addEventListener("click", () => {
    byId("connect-url").textContent = at("v1").href;
    byId("connect-model").textContent = model();
    byId("connect-key").textContent = needsKey()
      ? "One of those that the server was started with."
      : "None is needed; clients that insist on one take any word.";
    byId("connect-curl").textContent = command(model(), needsKey());
    dialog.showModal();
  });
  byId("connect-close").addEventListener("click", () => dialog.close());
  closeOutside(dialog, () => dialog.close());
}
