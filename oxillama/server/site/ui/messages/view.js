// The messages of the open conversation, as elements.

import { shownVariant } from "../chat/conversation.js";
import { copyButton, el, icon, iconButton } from "../lib/dom.js";
import { Prose } from "./markdown.js";

const NEAR = 80; // px from the end that still count as reading along

export class View {
  /** `actions`: regenerate(), edit(index), show(index, variant), busy() and announce(text). */
  constructor(log, scroll, actions) {
    this.log = log;
    this.scroll = scroll;
    this.actions = actions;
    this.live = null; // {prose, thoughts, message, holder} of the answer that grows
    this.conversation = null;
    // Reading along ends when the reader scrolls up, not when the text grows.
    this.following = true;
    new ResizeObserver(() => this.following && this.toEnd()).observe(scroll);
    scroll.addEventListener("scroll", () => (this.following = this.isAtEnd()), { passive: true });
  }

  isAtEnd() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < NEAR;
  }

  toEnd() {
    this.following = true;
    this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  /** Show the whole conversation again. */
  render(conversation) {
    this.conversation = conversation;
    this.live = null;
    const { messages } = conversation;
    this.log.replaceChildren(...messages.map((message, at) => this.made(message, at, at === messages.length - 1)));
    if (messages.at(-1)?.role === "user" && !this.actions.busy()) this.log.append(this.unanswered());
    if (this.following) this.toEnd();
  }

  /** The last answer has grown. */
  grow() {
    if (!this.live) return;
    const variant = shownVariant(this.live.message);
    this.live.prose.update(variant.text);
    this.live.thoughts.update(variant);
    this.live.holder.classList.toggle("empty", !variant.text);
    if (this.following) this.toEnd();
  }

  made(message, at, isLast) {
    return message.role === "user" ? this.user(message, at) : this.assistant(message, at, isLast);
  }

  user(message, at) {
    const foot = el("footer", {}, copyButton("Copy this message", () => message.text, this.actions.announce));
    if (!this.actions.busy()) foot.append(iconButton("edit", "Change this message", () => this.actions.edit(at)));
    const body = el("div", { className: "body", dir: "auto" }, message.text);
    return el("article", { className: "message user", "aria-label": "You" }, body, foot);
  }

  assistant(message, at, isLast) {
    const variant = shownVariant(message);
    const body = el("div", { className: "prose" });
    const prose = new Prose(body, this.actions.announce);
    const thoughts = new Thoughts();
    const holder = el("article", { className: "message assistant", "aria-label": variant.model }, thoughts.element, body);
    prose.update(variant.text);
    thoughts.update(variant);
    if (variant.state === "writing") {
      const dots = el("div", { className: "waiting", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
      holder.append(dots);
      holder.setAttribute("aria-busy", "true");
      if (isLast) this.live = { prose, thoughts, message, holder };
    } else {
      const ended = endOf(variant);
      if (ended) holder.append(el("p", { className: "ended" }, ended));
      holder.append(this.foot(message, at, isLast));
    }
    return holder;
  }

  foot(message, at, isLast) {
    const variant = shownVariant(message);
    const foot = el("footer", {}, copyButton("Copy this answer", () => variant.text, this.actions.announce));
    if (isLast && !this.actions.busy()) {
      foot.append(iconButton("again", "Answer again", () => this.actions.regenerate()));
    }
    if (message.variants.length > 1) foot.append(this.variants(message, at));
    foot.append(statistics(variant.stats));
    return foot;
  }

  variants(message, at) {
    const count = message.variants.length;
    const step = (by, drawing, label) => {
      const button = iconButton(drawing, label, () => this.actions.show(at, message.shown + by));
      button.disabled = this.actions.busy() || !message.variants[message.shown + by];
      return button;
    };
    const place = el("span", {}, `${message.shown + 1} / ${count}`);
    const group = el("span", { className: "variants", role: "group", "aria-label": "Answers to the same message" });
    group.append(step(-1, "left", "Earlier answer"), place, step(1, "right", "Later answer"));
    return group;
  }

  unanswered() {
    const again = el("button", { type: "button", className: "quiet", onclick: () => this.actions.regenerate() });
    again.append(icon("again"), "Answer this message");
    return el("p", { className: "ended" }, again);
  }
}

/** What the model thought before it answered: folded, and plain text. */
class Thoughts {
  constructor() {
    this.summary = el("summary");
    this.text = el("div", { className: "thought", dir: "auto" });
    this.element = el("details", { className: "thoughts", hidden: true }, this.summary, this.text);
  }

  update({ thought, text, state }) {
    this.element.hidden = !thought;
    this.summary.textContent = state === "writing" && !text ? "Thinking…" : "Thought before the answer";
    if (this.text.textContent !== thought) this.text.textContent = thought ?? "";
  }
}

function endOf(variant) {
  if (variant.state === "stopped") return "Stopped.";
  if (variant.state === "cut") return "This answer is not complete.";
  if (variant.reason === "length") return "Cut here: the settings, or the model’s context, allow no longer answer.";
  if (!variant.text) return "The model answered with nothing.";
  return "";
}

const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits });

function statistics(stats) {
  const line = el("span", { className: "stats" });
  if (!stats) return line;
  const add = (text, title) => line.append(line.hasChildNodes() ? " · " : "", el("span", { title }, text));
  add(`${number(stats.tokens)} tokens`, "Tokens of the answer");
  if (stats.perSecond) add(`${number(stats.perSecond, 1)} tokens/s`, "How fast the answer was written");
  add(`${number(stats.firstMs / 1000, 2)} s to the first`, "From sending to the first piece of text");
  if (stats.cached) {
    const share = `${number(stats.cached)} of ${number(stats.prompt)} prompt tokens reused`;
    add(share, "Read earlier, and taken from the prefix cache instead of being read again");
  }
  return line;
}
