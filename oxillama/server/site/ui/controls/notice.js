// One line above the message box that says what is the matter, and a button that helps.

import { byId, el, icon, iconButton } from "../lib/dom.js";

/** `action`: [label, function]; `calm`: no error, just something to know. */
export function notice(text, { calm = false, action = null } = {}) {
  const box = byId("notice");
  const buttons = [];
  if (action) {
    const [label, run] = action;
    const onclick = () => {
      hideNotice();
      run();
    };
    buttons.push(el("button", { type: "button", onclick }, label));
  }
  buttons.push(iconButton("close", "Dismiss", hideNotice));
  box.classList.toggle("calm", calm);
  box.replaceChildren(icon("warn"), el("p", {}, text), ...buttons);
  box.hidden = false;
}

export function hideNotice() {
  byId("notice").hidden = true;
  byId("notice").replaceChildren();
}

/** Say something to screen readers alone. */
export function announce(text) {
  byId("status").textContent = text;
}
