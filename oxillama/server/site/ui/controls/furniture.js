// What stands around the conversation: the switch between light and dark, the way out as a file.

import { byId, el, icon } from "../lib/dom.js";

export function startThemeButton() {
  const button = byId("theme");
  const next = () => (globalThis.theme.shown === "dark" ? "light" : "dark");
  const show = () => {
    const isDark = next() === "dark";
    button.replaceChildren(icon(isDark ? "moon" : "sun"), isDark ? "Dark" : "Light");
    button.setAttribute("aria-label", `Change to ${next()} colours`);
  };
  button.addEventListener("click", () => globalThis.theme.choose(next()));
  addEventListener("themechange", show);
  show();
}

export function saveAsFile(title, markdown) {
  const address = URL.createObjectURL(new Blob([markdown], { type: "text/markdown" }));
  const name = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "") || "conversation";
  el("a", { href: address, download: `${name}.md` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
