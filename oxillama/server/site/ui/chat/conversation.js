// A conversation and the answers in it: what is sent, what is kept, when it ends. Knows nothing of the page.
//
// An assistant's message has variants, one for each time it was asked for:
// {thought, text, state, reason, model, stats}; state is "writing", "done", "stopped" or "cut". Thought is what the model
// thought before it answered.

import { ApiError, chat } from "../api/client.js";
import { settings } from "./settings.js";
import { StaleError, get, save } from "./store.js";

const SAVE_EVERY = 800; // ms while an answer grows
const ATTEMPTS = 4; // on a server that is busy or loading
const LONGEST_TITLE = 60; // characters

// crypto.randomUUID is only there over TLS and on this machine.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function newConversation() {
  return { id: newId(), rev: 0, title: "", created: Date.now(), updated: Date.now(), messages: [] };
}

export const shownVariant = (message) => message.variants[message.shown];

/** The variant that is being written, if the conversation ends with one. */
export function writing(conversation) {
  const last = conversation.messages.at(-1);
  const variant = last?.role === "assistant" ? shownVariant(last) : null;
  return variant?.state === "writing" ? variant : null;
}

/**
 * The conversation as the API takes it, up to and without message `end`.
 *
 * Messages that got no answer become one with the next: many models' templates refuse two in a row.
 */
function wire(conversation, end) {
  const messages = [];
  for (const { role, ...message } of conversation.messages.slice(0, end)) {
    const { text: content, thought } = role === "user" ? message : shownVariant(message);
    if (role === "user" && messages.at(-1)?.role === "user") messages.at(-1).content += `\n\n${content}`;
    else messages.push({ role, content, ...(thought ? { reasoning_content: thought } : {}) });
  }
  const system = settings.get("system").trim();
  return system ? [{ role: "system", content: system }, ...messages] : messages;
}

/** Answers in progress in this tab, by conversation: {conversation, controller}. */
const running = new Map();

export const isRunning = (id) => running.has(id);
export const runningConversation = (id) => running.get(id)?.conversation;

/** End the answer that is being written in the conversation; what there is of it stays. */
export function stop(id) {
  running.get(id)?.controller.abort();
}

function addUserMessage(conversation, { text, at }) {
  conversation.messages.splice(at, Infinity, { role: "user", text });
  if (at === 0) conversation.title = titleOf(text);
}

function titleOf(text) {
  const line = text.trim().split("\n")[0];
  return line.length > LONGEST_TITLE ? `${line.slice(0, LONGEST_TITLE - 1).trimEnd()}…` : line;
}

/**
 * Have the last user message answered, beside the answers it has already; or `said`: {text, at}, a message that takes
 * the place of what the conversation has from there on.
 *
 * `on.begin()` once the answer has its place, `on.kept()` once what was said is kept, `on.text()` after every piece of
 * the answer, `on.wait(error, seconds)` before each new attempt on a busy server. Throws ApiError, with what had come of
 * the answer kept, StaleError when the conversation was changed elsewhere, and NotKeptError once the answer is complete.
 * The conversation counts as running from the call until its last change is kept.
 */
export async function answer(conversation, model, on, said = null) {
  if (said) addUserMessage(conversation, said);
  const controller = new AbortController();
  const { message, variant, before, at } = beginVariant(conversation, model);
  running.set(conversation.id, { conversation, controller });
  const keep = new Keeper(conversation, controller);
  try {
    on.begin();
    await keep.now();
    on.kept();
    const body = { model, messages: wire(conversation, at), ...settings.sampling() };
    await patiently(controller.signal, on.wait, () => read(body, controller.signal, variant, () => {
      keep.soon();
      on.text();
    }));
    variant.state = "done";
  } catch (error) {
    variant.state = controller.signal.aborted ? "stopped" : "cut";
    if (!controller.signal.aborted) throw error;
  } finally {
    if (!variant.text && !variant.thought && variant.state !== "done") dropVariant(conversation, message, variant, before);
    await keep.last();
    running.delete(conversation.id);
  }
  if (keep.failure) throw keep.failure;
}

function beginVariant(conversation, model) {
  let message = conversation.messages.at(-1);
  if (message.role !== "assistant") {
    message = { role: "assistant", shown: 0, variants: [] };
    conversation.messages.push(message);
  }
  const variant = { thought: "", text: "", state: "writing", reason: null, model, stats: null };
  const before = message.shown;
  message.shown = message.variants.push(variant) - 1;
  return { message, variant, before, at: conversation.messages.length - 1 };
}

/** Take back a variant that has come to nothing; `shown`: the one that is shown instead. */
function dropVariant(conversation, message, variant, shown) {
  message.variants = message.variants.filter((other) => other !== variant);
  message.shown = shown;
  if (!message.variants.length) conversation.messages = conversation.messages.filter((other) => other !== message);
}

async function read(body, signal, variant, onText) {
  const began = performance.now();
  let first = null;
  for await (const { text, thought, reason, usage, timings } of chat(body, signal)) {
    if (text || thought) {
      first ??= performance.now();
      variant.text += text;
      variant.thought += thought;
      onText();
    }
    variant.reason = reason ?? variant.reason;
    if (usage) variant.stats = statistics(usage, timings, (first ?? performance.now()) - began);
  }
}

/** What an answer cost: speed as the server measured it (pieces arrive in bursts), waiting as it was felt here. */
function statistics(usage, timings, firstMs) {
  return {
    tokens: usage.completion_tokens,
    prompt: usage.prompt_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    perSecond: timings?.predicted_per_second ?? null,
    firstMs,
  };
}

/** Try again while the server is busy or loading, a few times, as late as it asks. */
async function patiently(signal, onWait, attempt) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      const later = error instanceof ApiError && (error.kind === "busy" || error.kind === "loading");
      if (!later || tries === ATTEMPTS) throw error;
      const seconds = Math.min(30, error.retryAfter ?? 2);
      onWait(error, seconds);
      await pause(seconds * 1000, signal);
    }
  }
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** Saves a conversation while it grows. */
class Keeper {
  constructor(conversation, controller) {
    this.conversation = conversation;
    this.controller = controller;
    this.failure = null;
    this.timer = null;
  }

  /** Never throws. */
  async now() {
    try {
      await save(this.conversation);
      this.failure = null; // of an earlier one, which this has made good
    } catch (error) {
      this.failure = error;
      if (error instanceof StaleError) this.controller.abort(); // deleted or changed elsewhere: nothing to write to
    }
  }

  soon() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.now();
    }, SAVE_EVERY);
  }

  async last() {
    clearTimeout(this.timer);
    if (!(this.failure instanceof StaleError)) await this.now();
  }
}

/** What was left unfinished when its page was closed is finished now. */
export async function settle(id) {
  const conversation = await get(id);
  const variant = conversation && writing(conversation);
  if (!variant) return conversation;
  variant.state = "cut";
  const message = conversation.messages.at(-1);
  if (!variant.text && !variant.thought) dropVariant(conversation, message, variant, Math.max(0, message.variants.length - 2));
  await save(conversation).catch(() => {});
  return conversation;
}

const spoken = ({ model, text }) => [model, text];

/** The conversation as Markdown. */
export function asMarkdown(conversation) {
  const parts = conversation.messages.map((message) => {
    const [who, text] = message.role === "user" ? ["You", message.text] : spoken(shownVariant(message));
    return `**${who}**\n\n${text}`;
  });
  return `# ${conversation.title}\n\n${parts.join("\n\n---\n\n")}\n`;
}
