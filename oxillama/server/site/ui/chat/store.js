// Conversations, kept by this browser (IndexedDB), and word of changes to its other tabs.
//
// A conversation is one record: {id, rev, title, created, updated, messages}. `rev` counts its saves; a save of an
// outdated copy is refused, so that no tab overwrites what another one has written. What the browser refuses to keep
// lasts as long as the page.

const NAME = "oxillama";
const STORE = "conversations";

/** Another tab has changed or deleted the conversation. */
export class StaleError extends Error {}

/** The conversation could not be kept, for want of room or whatever the browser says. */
export class NotKeptError extends Error {}

const channel = openChannel();
let database = null; // a promise; resolves to null where the browser keeps nothing
const memory = new Map(); // what is not in the database: everything where there is none
let last = Promise.resolve(); // change: one after another, since each must see how far the one before has counted

function openChannel() {
  try {
    return new BroadcastChannel(NAME);
  } catch {
    return Object.assign(new EventTarget(), { postMessage() {} }); // storage is blocked: nothing is shared either
  }
}

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
    request.onsuccess = () => {
      const opened = request.result;
      opened.onclose = () => (database = null); // the browser has cleared its storage; it may be opened again
      opened.onversionchange = () => {
        opened.close(); // so that a later version of this page can change it
        database = null;
      };
      resolve(opened);
    };
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
    running.onabort = () => reject(failure ?? running.error);
    work(running.objectStore(STORE), (value) => (result = value), fail);
  });
}

/** Whether conversations outlive the page. */
export async function lasts() {
  return (await open()) !== null;
}

/** Every conversation without its messages, newest first. */
export async function list() {
  const found = new Map();
  const summary = ({ id, title, updated }) => found.set(id, { id, title, updated });
  if (await open()) {
    await transaction("readonly", (store) => {
      store.openCursor().onsuccess = ({ target: { result: cursor } }) => {
        if (!cursor) return;
        summary(cursor.value);
        cursor.continue();
      };
    });
  }
  memory.forEach(summary);
  return [...found.values()].sort((a, b) => b.updated - a.updated);
}

/** The conversation, or undefined. */
export async function get(id) {
  if (memory.has(id) || !(await open())) return structuredClone(memory.get(id));
  return transaction("readonly", (store, answer) => {
    store.get(id).onsuccess = ({ target }) => answer(target.result);
  });
}

function inTurn(change) {
  const done = last.then(change);
  last = done.catch(() => {});
  return done;
}

/**
 * Keep `conversation` as it is when its turn comes, and count its `rev` up.
 *
 * Throws StaleError when another tab has changed or deleted it, and NotKeptError.
 */
export function save(conversation) {
  return inTurn(async () => {
    const next = { ...structuredClone(conversation), rev: conversation.rev + 1, updated: Date.now() };
    try {
      await put(next);
    } catch (error) {
      memory.delete(next.id);
      if (error instanceof StaleError) throw error;
      memory.set(next.id, { ...next, rev: conversation.rev });
      throw new NotKeptError(error?.message ?? "unknown reason");
    }
    conversation.rev = next.rev;
    conversation.updated = next.updated;
    channel.postMessage({ changed: next.id });
  });
}

async function put(next) {
  const stale = (stored) => (stored?.rev ?? 0) !== next.rev - 1;
  if (!(await open())) {
    if (stale(memory.get(next.id))) throw new StaleError("deleted");
    memory.set(next.id, next);
    return;
  }
  await transaction("readwrite", (store, _, fail) => {
    store.get(next.id).onsuccess = ({ target }) => {
      if (stale(target.result)) fail(new StaleError("changed in another tab"));
      else store.put(next);
    };
  });
  memory.delete(next.id);
}

export function remove(id) {
  return inTurn(async () => {
    memory.delete(id);
    if (await open()) await transaction("readwrite", (store) => store.delete(id));
    channel.postMessage({ changed: id });
  });
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
