// The page: which conversation is open, what its buttons do, what is said when something goes wrong.

import { ApiError } from "./api/client.js";
import * as chats from "./chat/conversation.js";
import { composer, startComposer } from "./controls/composer.js";
import { startConnect } from "./controls/connect.js";
import { askForKey, confirmDeletion, showDefaults, startSettings } from "./controls/dialogs.js";
import { byId } from "./lib/dom.js";
import { saveAsFile, startThemeButton } from "./controls/furniture.js";
import { awaitModels, chosenModel, haveModels, loadModels, onModels } from "./controls/models.js";
import { announce, hideNotice, notice } from "./controls/notice.js";
import { paced } from "./messages/pace.js";
import { drawer, showList, startDrawer } from "./controls/sidebar.js";
import * as store from "./chat/store.js";
import { View } from "./messages/view.js";
import { showWelcome } from "./controls/welcome.js";

const CURRENT = "oxillama.current"; // of this tab: another one may have another conversation open
const LOOK_AGAIN = 3000; // ms between two looks for the other tab that writes in the open conversation

let conversation = chats.newConversation();
let openings = 0; // how often a conversation was opened: one that is slow to come must not follow a later one
let elsewhere = false; // another tab is writing in this conversation, or was and may have gone
let looking = 0; // timer of the next look for that tab
let editing = null; // index of the user message that is being changed
let draft = ""; // what stood in the message box before that

const view = new View(byId("log"), byId("scroll"), {
  regenerate: () => answer(),
  edit: beginEdit,
  show: showVariant,
  busy: () => isBusy(),
  announce,
});

const isBusy = () => elsewhere || chats.isRunning(conversation.id);

// --- what is shown ---

async function showConversations() {
  showList(await store.list(), conversation.id, { open: openConversation, remove: removeConversation });
}

function showState() {
  const isEmpty = !conversation.messages.length;
  const isRunning = chats.isRunning(conversation.id);
  byId("stop").hidden = !isRunning;
  byId("send").hidden = isRunning;
  byId("send").disabled = !canSend();
  byId("welcome").hidden = !isEmpty;
  byId("log").hidden = isEmpty;
  byId("export").hidden = isEmpty;
  document.title = conversation.title ? `${conversation.title} · oxillama` : "oxillama";
}

function showAll() {
  view.render(conversation);
  showState();
}

// --- which conversation is open ---

function startNew() {
  openings += 1;
  conversation = chats.newConversation();
  opened();
}

function opened() {
  elsewhere = false;
  clearTimeout(looking);
  cancelEdit();
  hideNotice();
  remember(conversation.id);
  view.following = true;
  showAll();
  showConversations();
  drawer(false);
  composer.focus();
}

async function openConversation(id) {
  const opening = (openings += 1);
  const found = chats.runningConversation(id) ?? (await store.get(id));
  if (opening !== openings) return;
  if (!found) return startNew();
  conversation = chats.runningConversation(id) ?? found;
  opened();
  if (chats.writing(conversation) && !chats.isRunning(id)) await lookElsewhere();
}

/** The open conversation ends with an unfinished answer: another tab is writing it, or it is left as it is. */
async function lookElsewhere() {
  const { id } = conversation;
  const isNew = !elsewhere;
  elsewhere = true;
  if (isNew) showAll();
  // Asked twice, since a tab may be slow to answer, and would lose what it writes.
  const isWritten = (await store.writtenElsewhere(id)) || (await store.writtenElsewhere(id));
  if (id !== conversation.id || !elsewhere) return; // another one was opened, or the answer has ended
  if (isWritten) {
    if (isNew) notice("This conversation is being answered in another tab.", { calm: true });
    clearTimeout(looking);
    looking = setTimeout(lookElsewhere, LOOK_AGAIN);
    return;
  }
  const settled = await chats.settle(id);
  if (id !== conversation.id || !elsewhere) return;
  conversation = settled ?? conversation;
  elsewhere = false;
  if (!isNew) hideNotice();
  showAll();
}

async function removeConversation({ id, title }) {
  if (!(await confirmDeletion(title))) return;
  chats.stop(id);
  await store.remove(id);
  if (id === conversation.id) return startNew();
  await showConversations();
  if (document.activeElement === document.body) byId("new-chat").focus(); // what had the focus is gone
}

/** Another tab has changed a conversation: show it as it is now, unless this tab is the one that writes in it. */
async function changedElsewhere(id) {
  await showConversations();
  const isOurs = () => id !== conversation.id || chats.isRunning(id);
  if (isOurs()) return;
  const found = await store.get(id);
  if (isOurs()) return;
  if (!found) {
    startNew();
    notice("This conversation was deleted in another tab.", { calm: true });
    return;
  }
  conversation = found;
  if (editing !== null) {
    editing = null; // it may be another message now; what was written stays in the box
    hideNotice();
  }
  if (chats.writing(found)) {
    if (elsewhere) showAll();
    else await lookElsewhere();
    return;
  }
  if (elsewhere) hideNotice();
  elsewhere = false;
  clearTimeout(looking);
  showAll();
}

function remember(id) {
  try {
    sessionStorage.setItem(CURRENT, id);
  } catch {
    // a reload begins with a new conversation
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(CURRENT);
  } catch {
    return null;
  }
}

// --- sending and answering ---

const canSend = () => Boolean(composer.text) && !isBusy() && haveModels();

async function send() {
  if (!canSend()) return;
  const said = { text: composer.text, at: editing ?? conversation.messages.length };
  composer.text = editing === null ? "" : draft;
  editing = null;
  view.following = true;
  remember(conversation.id);
  await answer(said);
}

function sendExample(text) {
  composer.text = text;
  showState();
  if (canSend()) send();
  else composer.focus();
}

/** Have the last message answered, or `said` (see chats.answer). */
async function answer(said = null) {
  const answered = conversation;
  if (isBusy() || !(said || answered.messages.length)) return;
  const isShown = () => answered.id === conversation.id;
  const on = {
    begin: showAll,
    kept: showConversations,
    text: paced(() => isShown() && view.grow()),
    wait(error, seconds) {
      const text = `${error.message} Asking again in ${Math.ceil(seconds)} s.`;
      if (isShown()) notice(text, { calm: true, action: ["Stop", () => chats.stop(answered.id)] });
    },
  };
  hideNotice();
  announce("Answering");
  let failure = null;
  try {
    await chats.answer(answered, chosenModel(), on, said);
  } catch (error) {
    failure = error;
  }
  if (isShown()) {
    hideNotice();
    ended(answered);
    if (failure) await explain(answered, failure, said);
  }
  await showConversations();
}

function ended(answered) {
  const focused = document.activeElement;
  const wasInMessages = focused === document.body || focused === byId("stop") || byId("log").contains(focused);
  showAll();
  if (wasInMessages) composer.focus(); // the element with the focus was replaced
  if (answered.messages.at(-1)?.role !== "assistant") return;
  announce(byId("log").lastElementChild.querySelector(".prose").textContent);
}

/** Say what went wrong with `answered`, and offer what helps; `said`: the message that was to be answered, if new. */
async function explain(answered, error, said = null) {
  const again = ["Try again", () => answer()];
  if (error instanceof store.StaleError) {
    const isThere = await store.get(answered.id);
    await openConversation(answered.id);
    const what = isThere ? "was changed in another tab; here it is as it is now" : "was deleted in another tab";
    notice(`This conversation ${what}.`, { calm: true });
    const isLost = said && !conversation.messages.some(({ text }) => text === said.text);
    if (isLost && !composer.text) {
      composer.text = said.text;
      showState();
    }
  } else if (error instanceof store.NotKeptError) {
    const text = `The browser keeps no more of this conversation (${error.message}): the rest lasts as long as this tab.`;
    notice(`${text} Deleting other conversations may make room.`, { calm: true });
  } else if (!(error instanceof ApiError)) {
    console.error(error);
    notice(`The browser could not do this: ${error.message}`, { action: again });
  } else if (error.kind === "key") {
    await withKey(error.message, () => answer());
  } else if (error.kind === "model") {
    notice(`${error.message} Choose one of those that are served.`, { action: again });
    await loadModels().catch(() => {});
  } else if (error.kind === "context") {
    const text = `${error.message} Begin a new chat, or change an earlier message to a shorter one.`;
    notice(text, { action: ["New chat", startNew] });
  } else {
    notice(error.message, { action: again });
  }
}

async function withKey(reason, then) {
  if (await askForKey(reason, loadModels)) then();
  else if (!haveModels()) {
    const action = ["Give a key", () => withKey("", then)];
    notice("Without a key this server answers nothing.", { action });
  }
}

// --- changing what was said ---

async function showVariant(at, shown) {
  const changed = conversation;
  changed.messages[at].shown = shown;
  try {
    await store.save(changed);
  } catch (error) {
    await explain(changed, error);
    if (error instanceof store.StaleError) return;
  }
  if (changed !== conversation) return; // another one was opened meanwhile
  showAll();
  byId("log").children[at]?.querySelector(".variants button:enabled")?.focus();
}

function beginEdit(at) {
  if (editing === null) draft = composer.text;
  editing = at;
  composer.text = conversation.messages[at].text;
  showState();
  composer.focus();
  const text = "Sending replaces this message and what came after it.";
  notice(text, { calm: true, action: ["Keep it as it was", cancelEdit] });
}

function cancelEdit() {
  if (editing === null) return;
  editing = null;
  composer.text = draft;
  hideNotice();
  showState();
}

// --- the beginning ---

function startKeys() {
  byId("stop").addEventListener("click", () => chats.stop(conversation.id));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
    if (chats.isRunning(conversation.id)) chats.stop(conversation.id);
    else cancelEdit();
  });
}

async function start() {
  startComposer({ send, change: showState });
  startKeys();
  startThemeButton();
  startDrawer();
  let needsKey = false;
  onModels((about) => {
    needsKey = about.keys;
    showDefaults(about.defaults);
    showWelcome(about, sendExample);
  });
  startConnect(chosenModel, () => needsKey);
  startSettings(() => withKey("", showState));
  store.answerForWriting(chats.isRunning);
  store.onChange(changedElsewhere);
  byId("new-chat").addEventListener("click", startNew);
  byId("export").addEventListener("click", () => saveAsFile(conversation.title, chats.asMarkdown(conversation)));
  showState();
  await restore().catch((error) => notice(`Conversations could not be read: ${error.message}`));
  await awaitModels().catch(() => withKey("", showState));
  showState();
}

/** Show what this browser has kept. */
async function restore() {
  const last = remembered();
  if (last && (await store.get(last))) await openConversation(last);
  await showConversations();
  if (await store.lasts()) return;
  notice("This browser keeps nothing for this page: conversations end with it.", { calm: true });
}

start();
