// Making elements. Text is always text here: nothing in this page sets HTML.

/** An element with properties, `data-…`/`aria-…` attributes, listeners (`onclick`) and children. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** One of the drawings at the top of the page. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export function iconButton(name, label, onclick) {
  return el("button", { type: "button", className: "icon", "aria-label": label, title: label, onclick }, icon(name));
}

/** The text as one word of a shell's command line. */
export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export const byId = (id) => document.getElementById(id);

/** Copy text; also on pages that came over plain HTTP from another machine, where the clipboard has no API. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el("textarea", { value: text, className: "sr" });
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  if (!done) throw new Error("not copied");
}

/** A button that copies what `text()` gives, and shows that it has. */
export function copyButton(label, text, announce, { visible = "" } = {}) {
  const properties = { type: "button", className: visible ? "" : "icon", "aria-label": label, title: label };
  const button = el("button", properties, icon("copy"), visible);
  button.addEventListener("click", async () => {
    const ok = await copy(text()).then(() => true, () => false);
    button.replaceChildren(icon(ok ? "check" : "warn"), visible && (ok ? "Copied" : "Not copied"));
    announce(ok ? "Copied" : "The browser did not let this page copy");
    setTimeout(() => button.replaceChildren(icon("copy"), visible), 1600);
  });
  return button;
}
