// The box that messages are written in.

import { byId } from "../lib/dom.js";

const box = byId("prompt");

export const composer = {
  get text() {
    return box.value.trim();
  },
  set text(value) {
    box.value = value;
    fit();
  },
  focus() {
    if (matchMedia("(pointer: coarse)").matches) return; // the keyboard on the screen would cover the answer
    box.focus({ preventScroll: true });
  },
};

/** The box grows with its text, where CSS alone does not do it. */
function fit() {
  if (CSS.supports("field-sizing", "content")) return;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

/** `on.send()`, and `on.change()` after every change of the text. */
export function startComposer(on) {
  box.addEventListener("input", () => {
    fit();
    on.change();
  });
  box.addEventListener("keydown", (event) => {
    // Enter that ends the choice of a character in an input method is not for us. Safari sends it when the choice is
    // over already, and marks it only by its key code.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    on.send();
  });
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    on.send();
  });
}
