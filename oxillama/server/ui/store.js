// Conversations, kept by this browser (IndexedDB), and word of changes to its other tabs.
//
// A conversation is one record: {id, rev, title, created, updated, messages}. `rev` counts its saves; a save of an
// outdated copy is refused, so that no tab overwrites what another one has written.

const NAME = "oxillama";
const STORE = "conversations";

export class StaleError extends Error {}

const channel = new BroadcastChannel(NAME);
let database = null; // a promise; resolves to null where the browser keeps nothing
const memory = new Map();

function open() {
  database ??= new Promise((resolve) => {
    let request;
    try {
      request = indexedDB.open(NAME, 1);
    } catch {
      resolve(null);
      return;
    }
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => resolve(null);
  });
  return database;
}

async function transaction(mode, work) {
  const db = await open();
  return new Promise((resolve, reject) => {
    const running = db.transaction(STORE, mode);
    let result;
    let failure = null;
    const fail = (error) => {
      failure = error;
      running.abort();
    };
    running.oncomplete = () => resolve(result);
    running.onabort = running.onerror = () => reject(failure ?? running.error);
    work(running.objectStore(STORE), (value) => (result = value), fail);
  });
}

/** Whether conversations outlive the page. */
export async function lasts() {
  return (await open()) !== null;
}

/** Every conversation without its messages, newest first. */
export async function list() {
  const found = [];
  const summary = ({ id, title, updated }) => found.push({ id, title, updated });
  if (await open()) {
    await transaction("readonly", (store) => {
      store.openCursor().onsuccess = ({ target: { result: cursor } }) => {
        if (!cursor) return;
        summary(cursor.value);
        cursor.continue();
      };
    });
  } else {
    memory.forEach(summary);
  }
  return found.sort((a, b) => b.updated - a.updated);
}

/** The conversation, or undefined. */
export async function get(id) {
  if (!(await open())) return structuredClone(memory.get(id));
  return transaction("readonly", (store, answer) => {
    store.get(id).onsuccess = ({ target }) => answer(target.result);
  });
}

/** Keep `conversation` and count its `rev` up. Throws StaleError when another tab has changed or deleted it. */
export async function save(conversation) {
  const next = { ...structuredClone(conversation), rev: conversation.rev + 1, updated: Date.now() };
  const stale = (stored) => (stored?.rev ?? 0) !== conversation.rev;
  if (await open()) {
    await transaction("readwrite", (store, _, fail) => {
      store.get(next.id).onsuccess = ({ target }) => {
        if (stale(target.result)) fail(new StaleError("changed in another tab"));
        else store.put(next);
      };
    });
  } else {
    if (stale(memory.get(next.id))) throw new StaleError("changed elsewhere");
    memory.set(next.id, next);
  }
  conversation.rev = next.rev;
  conversation.updated = next.updated;
  channel.postMessage({ changed: next.id });
}

export async function remove(id) {
  if (await open()) await transaction("readwrite", (store) => store.delete(id));
  else memory.delete(id);
  channel.postMessage({ changed: id });
}

/** Call `listener(id)` whenever another tab has changed or deleted a conversation. */
export function onChange(listener) {
  channel.addEventListener("message", ({ data }) => data.changed && listener(data.changed));
}

/** Answer other tabs that ask whether this one is writing in a conversation. */
export function answerForWriting(isWriting) {
  channel.addEventListener("message", ({ data }) => {
    if (data.writing && isWriting(data.writing)) channel.postMessage({ yes: data.writing });
  });
}

/** Whether another tab is writing in the conversation: it says so at once, or is gone. */
export function writtenElsewhere(id) {
  return new Promise((resolve) => {
    const end = (answer) => {
      channel.removeEventListener("message", listen);
      clearTimeout(timer);
      resolve(answer);
    };
    const listen = ({ data }) => data.yes === id && end(true);
    const timer = setTimeout(end, 400, false);
    channel.addEventListener("message", listen);
    channel.postMessage({ writing: id });
  });
}
