// The list of conversations, and on narrow screens the drawer it lies in.

import { byId, el, iconButton } from "../lib/dom.js";

const DAY = 86_400_000;

function period(time) {
  const today = new Date().setHours(0, 0, 0, 0);
  if (time >= today) return "Today";
  if (time >= today - DAY) return "Yesterday";
  if (time >= today - 6 * DAY) return "This week";
  return "Earlier";
}

/** Show `conversations` (newest first); `actions`: open(id) and remove(conversation). */
export function showList(conversations, current, actions) {
  const holder = byId("threads");
  const active = document.activeElement;
  const focused = holder.contains(active) ? active.closest("li")?.dataset.id : null;
  const button = active?.matches(".drop") ? ".drop" : ".open";
  const groups = Map.groupBy ? Map.groupBy(conversations, (one) => period(one.updated)) : grouped(conversations);
  holder.replaceChildren();
  if (!conversations.length) holder.append(el("p", { className: "none" }, "Conversations are kept in this browser."));
  for (const [name, members] of groups) {
    const items = members.map((one) => item(one, one.id === current, actions));
    holder.append(el("h2", {}, name), el("ul", {}, ...items));
  }
  if (focused) holder.querySelector(`[data-id="${focused}"] ${button}`)?.focus();
}

function grouped(conversations) {
  const groups = new Map();
  for (const one of conversations) groups.set(period(one.updated), [...(groups.get(period(one.updated)) ?? []), one]);
  return groups;
}

function item(one, isCurrent, actions) {
  const title = one.title || "New chat";
  const open = el("button", { type: "button", className: "open", title, onclick: () => actions.open(one.id) }, title);
  if (isCurrent) open.setAttribute("aria-current", "true");
  const drop = iconButton("trash", `Delete “${title}”`, () => actions.remove(one));
  drop.classList.add("drop");
  const made = el("li", { className: isCurrent ? "current" : "" }, open, drop);
  made.dataset.id = one.id;
  return made;
}

/** Open or close the drawer; focus goes in and comes back. */
export function drawer(open) {
  const side = byId("side");
  if (side.classList.contains("open") === open) return;
  side.classList.toggle("open", open);
  byId("scrim").hidden = !open;
  document.querySelector("main").inert = open; // it lies behind
  byId("side-open").setAttribute("aria-expanded", String(open));
  (open ? byId("new-chat") : byId("side-open")).focus();
}

export function startDrawer() {
  byId("side-open").addEventListener("click", () => drawer(true));
  byId("side-close").addEventListener("click", () => drawer(false));
  byId("scrim").addEventListener("click", () => drawer(false));
  matchMedia("(max-width: 48rem)").addEventListener("change", () => drawer(false));
  byId("side").addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !byId("side").classList.contains("open")) return;
    event.stopPropagation();
    drawer(false);
  });
}
