// The API key: for this tab, or if its owner wants that for this browser. Never in an address.

const NAME = "oxillama.key";

function from(storage) {
  try {
    return globalThis[storage].getItem(NAME);
  } catch {
    return null; // storage is switched off: the key lasts as long as the page
  }
}

let value = from("sessionStorage") ?? from("localStorage") ?? "";

export const key = {
  get value() {
    return value;
  },
  get kept() {
    return Boolean(from("localStorage"));
  },
  set(next, keep) {
    value = next;
    try {
      sessionStorage.removeItem(NAME);
      localStorage.removeItem(NAME);
      if (next) (keep ? localStorage : sessionStorage).setItem(NAME, next);
    } catch {
      // lasts as long as the page
    }
  },
};
