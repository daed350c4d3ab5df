// The page: which conversation is open, what the buttons and keys do, what is said when something goes wrong.

import { ApiError, models } from "./api.js";
import * as chats from "./chat.js";
import { askForKey, confirmDeletion, startSettings } from "./dialogs.js";
import { byId, el, icon } from "./dom.js";
import { settings } from "./settings.js";
import { drawer, showList, startDrawer } from "./sidebar.js";
import * as store from "./store.js";
import { View } from "./view.js";

const EXAMPLES = [
  ["Load a model of my own", "How do I load a GGUF file?"],
  ["Tell me a story", "Tell me a little story about a fox and the rain."],
  ["Keep strangers out", "How do I set an API key?"],
  ["Explain something", "What is a token?"],
];
const CURRENT = "oxillama.current"; // of this tab: another one may have another conversation open
const ASK_AGAIN = 2000; // ms between two looks for a server that is away

const prompt = byId("prompt");
let conversation = chats.newConversation();
let elsewhere = false; // another tab is writing in this conversation
let contexts = new Map(); // model → tokens
let editing = null; // index of the user message that is being changed

const view = new View(byId("log"), byId("scroll"), {
  regenerate: () => answer(),
  edit: beginEdit,
  show: showVariant,
  busy: () => isBusy(),
  announce,
});

const isBusy = () => elsewhere || chats.isRunning(conversation.id);

/** Say something to screen readers. */
function announce(text) {
  byId("status").textContent = text;
}

// --- one line that says what is wrong and what helps ---

function notice(text, { calm = false, action = null } = {}) {
  const box = byId("notice");
  const close = el("button", { type: "button", className: "icon", "aria-label": "Dismiss", onclick: hideNotice }, icon("close"));
  const buttons = [];
  if (action) {
    const [label, run] = action;
    const onclick = () => {
      hideNotice();
      run();
    };
    buttons.push(el("button", { type: "button", onclick }, label));
  }
  box.classList.toggle("calm", calm);
  box.replaceChildren(icon("warn"), el("p", {}, text), ...buttons, close);
  box.hidden = false;
}

function hideNotice() {
  byId("notice").hidden = true;
  byId("notice").replaceChildren();
}

/** What helps against an error, beside its line. */
function explain(error) {
  const again = ["Try again", () => answer()];
  if (error instanceof store.StaleError)
    return notice("This conversation was changed in another tab; here it is as it is now.", { calm: true });
  if (!(error instanceof ApiError)) {
    console.error(error);
    return notice(`The browser could not do this: ${error.message}`);
  }
  if (error.kind === "key") return withKey(error.message, () => answer());
  if (error.kind === "model") {
    loadModels();
    return notice(`${error.message} Choose one of those that are served.`, { action: again });
  }
  if (error.kind === "context") {
    const text = `${error.message} Begin a new chat, or change an earlier message to a shorter one.`;
    return notice(text, { action: ["New chat", startNew] });
  }
  return notice(error.message, { action: again });
}

async function withKey(reason, then) {
  if (await askForKey(reason, loadModelsOnce)) then();
}

// --- the model ---

async function loadModelsOnce() {
  const found = await models();
  contexts = new Map(found.map((model) => [model.id, model.context_length]));
  const select = byId("model");
  select.replaceChildren(...found.map(({ id }) => el("option", { value: id }, id)));
  select.disabled = false;
  if (contexts.has(settings.get("model"))) select.value = settings.get("model");
  showContext();
}

/** Ask until the server answers: it may still be loading its model. */
async function loadModels() {
  for (let waited = false; ; waited = true) {
    try {
      await loadModelsOnce();
      if (waited) hideNotice();
      return showState();
    } catch (error) {
      if (error.kind === "key") return withKey("", showState);
      notice(error.message, { calm: error.kind === "loading" });
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
    }
  }
}

function showContext() {
  const tokens = contexts.get(byId("model").value);
  byId("context").textContent = tokens ? `${tokens.toLocaleString("en")} tokens of context` : "";
}

// --- what is shown ---

async function showConversations() {
  showList(await store.list(), conversation.id, { open: openConversation, remove: removeConversation });
}

function showState() {
  const busy = isBusy();
  const isEmpty = !conversation.messages.length;
  byId("stop").hidden = !chats.isRunning(conversation.id);
  byId("send").hidden = chats.isRunning(conversation.id);
  byId("send").disabled = busy || byId("model").disabled || !prompt.value.trim();
  byId("welcome").hidden = !isEmpty;
  byId("log").hidden = isEmpty;
  byId("export").hidden = isEmpty;
  document.title = conversation.title ? `${conversation.title} · oxillama` : "oxillama";
}

function showAll() {
  view.render(conversation);
  showState();
}

function remember(id) {
  try {
    sessionStorage.setItem(CURRENT, id);
  } catch {
    // a reload begins with a new conversation
  }
}

function startNew() {
  conversation = chats.newConversation();
  opened();
  prompt.focus();
}

function opened() {
  elsewhere = false;
  cancelEdit();
  hideNotice();
  remember(conversation.id);
  view.following = true;
  showAll();
  showConversations();
  drawer(false);
}

async function openConversation(id) {
  const found = chats.runningConversation(id) ?? (await store.get(id));
  if (!found) return startNew();
  conversation = found;
  opened();
  prompt.focus({ preventScroll: true });
  if (!chats.writing(found) || chats.isRunning(id)) return;
  if (await store.writtenElsewhere(id)) {
    elsewhere = true;
    notice("This conversation is being answered in another tab.", { calm: true });
  } else {
    conversation = (await chats.settle(id)) ?? conversation;
  }
  showAll();
}

async function removeConversation({ id, title }) {
  if (!(await confirmDeletion(title))) return;
  chats.stop(id);
  await store.remove(id);
  if (id === conversation.id) startNew();
  else await showConversations();
}

/** Another tab has changed a conversation: show it as it is now, unless this tab is the one that writes in it. */
async function changedElsewhere(id) {
  await showConversations();
  if (id !== conversation.id || chats.isRunning(id)) return;
  const found = await store.get(id);
  if (id !== conversation.id || chats.isRunning(id)) return;
  if (!found) {
    startNew();
    return notice("The conversation was deleted in another tab.", { calm: true });
  }
  const wasElsewhere = elsewhere;
  conversation = found;
  elsewhere = chats.writing(found) !== null;
  if (wasElsewhere && !elsewhere) hideNotice();
  showAll();
}

// --- sending and answering ---

async function send() {
  const text = prompt.value.trim();
  if (!text || isBusy() || byId("model").disabled) return;
  const at = editing ?? conversation.messages.length;
  prompt.value = "";
  fit();
  cancelEdit();
  hideNotice();
  try {
    await chats.addUserMessage(conversation, text, at);
  } catch (error) {
    prompt.value = text;
    return failed(conversation, error);
  }
  remember(conversation.id);
  view.following = true;
  await answer();
}

async function answer() {
  const answered = conversation;
  const isShown = () => answered.id === conversation.id;
  if (isBusy() || !answered.messages.length) return;
  hideNotice();
  let drawn = 0; // the next frame, while one is asked for
  let begun = false;
  try {
    const done = chats.answer(answered, byId("model").value, {
      change() {
        if (!isShown()) return;
        if (!begun || !chats.isRunning(answered.id)) {
          begun = true;
          return showAll();
        }
        drawn ||= requestAnimationFrame(() => {
          drawn = 0;
          if (isShown()) view.grow();
        });
      },
      wait(error, seconds) {
        const text = `${error.message} Asking again in ${Math.ceil(seconds)} s.`;
        if (isShown()) notice(text, { calm: true, action: ["Stop", () => chats.stop(answered.id)] });
      },
    });
    announce("Answering");
    showState();
    showConversations();
    await done;
    hideNotice();
  } catch (error) {
    await failed(answered, error);
  } finally {
    cancelAnimationFrame(drawn);
    if (isShown()) ended(answered);
    showConversations();
  }
}

function ended(answered) {
  const hadStop = document.activeElement === byId("stop") || document.activeElement === document.body;
  showAll();
  if (hadStop) prompt.focus({ preventScroll: true });
  const last = answered.messages.at(-1);
  if (last?.role === "assistant") announce(byId("log").lastElementChild.querySelector(".prose").textContent);
}

async function failed(answered, error) {
  if (answered.id !== conversation.id) return;
  if (error instanceof store.StaleError) {
    const found = await store.get(answered.id);
    if (!found) return startNew();
    conversation = found;
    showAll();
  }
  await explain(error);
}

async function showVariant(at, shown) {
  conversation.messages[at].shown = shown;
  await store.save(conversation).catch((error) => failed(conversation, error));
  showAll();
  byId("log").children[at]?.querySelector(".variants button:enabled")?.focus();
}

function beginEdit(at) {
  editing = at;
  prompt.value = conversation.messages[at].text;
  fit();
  showState();
  prompt.focus();
  const text = "Sending replaces this message and what came after it.";
  notice(text, { calm: true, action: ["Keep it as it was", cancelEdit] });
}

function cancelEdit() {
  if (editing === null) return;
  editing = null;
  prompt.value = "";
  fit();
  hideNotice();
  showState();
}

// --- the composer ---

/** The box grows with its text, where CSS alone does not do it. */
function fit() {
  if (CSS.supports("field-sizing", "content")) return;
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

function startComposer() {
  prompt.addEventListener("input", () => {
    fit();
    showState();
  });
  prompt.addEventListener("keydown", (event) => {
    // Enter that ends the choice of a character in an input method is not for us.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  byId("stop").addEventListener("click", () => chats.stop(conversation.id));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (chats.isRunning(conversation.id)) chats.stop(conversation.id);
    else cancelEdit();
  });
}

function startTheme() {
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

function startExamples() {
  for (const [title, text] of EXAMPLES) {
    const onclick = () => {
      prompt.value = text;
      fit();
      showState();
      if (byId("send").disabled) prompt.focus();
      else send();
    };
    byId("examples").append(el("li", {}, el("button", { type: "button", onclick }, el("b", {}, title), el("span", {}, text))));
  }
}

function saveAsFile() {
  const file = new Blob([chats.asMarkdown(conversation)], { type: "text/markdown" });
  const address = URL.createObjectURL(file);
  const name = conversation.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "") || "conversation";
  el("a", { href: address, download: `${name}.md` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function start() {
  startComposer();
  startTheme();
  startExamples();
  startDrawer();
  startSettings(() => withKey("", showState));
  store.answerForWriting(chats.isRunning);
  store.onChange(changedElsewhere);
  byId("new-chat").addEventListener("click", startNew);
  byId("export").addEventListener("click", saveAsFile);
  byId("model").addEventListener("change", (event) => {
    settings.set({ model: event.target.value });
    showContext();
  });
  showState();
  let last = null;
  try {
    last = sessionStorage.getItem(CURRENT);
  } catch {
    // begins with a new conversation
  }
  if (last && (await store.get(last))) await openConversation(last);
  await showConversations();
  if (!(await store.lasts())) notice("This browser keeps nothing for this page: conversations end with it.", { calm: true });
  loadModels();
}

start();
