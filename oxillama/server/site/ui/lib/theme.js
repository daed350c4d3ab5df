// Before the first paint, hence no module: a chosen appearance must not flash the other one.
"use strict";
(() => {
  const KEY = "oxillama.theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let memory = "system"; // where storage is switched off

  function read() {
    try {
      return localStorage.getItem(KEY) ?? "system";
    } catch {
      return memory;
    }
  }

  function show() {
    const choice = read();
    const theme = choice === "system" ? (dark.matches ? "dark" : "light") : choice;
    document.documentElement.dataset.theme = theme;
    dispatchEvent(new CustomEvent("themechange", { detail: { choice, theme } }));
  }

  globalThis.theme = {
    get choice() {
      return read();
    },
    get shown() {
      return document.documentElement.dataset.theme;
    },
    choose(choice) {
      memory = choice;
      try {
        localStorage.setItem(KEY, choice);
      } catch {
        // shown all the same, until the page is left
      }
      show();
    },
  };
  dark.addEventListener("change", show);
  addEventListener("storage", (event) => event.key === KEY && show());
  show();
})();
