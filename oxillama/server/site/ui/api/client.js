// The server's API: which models there are, and one answer as a stream. Errors are ApiError.

import { dataOf } from "./sse.js";
import { key } from "./key.js";

/** What went wrong; `kind` is "gone", "cut", "key", "busy", "loading", "context", "model" or "other". */
export class ApiError extends Error {
  constructor(kind, message, { retryAfter = null } = {}) {
    super(message);
    this.kind = kind;
    this.retryAfter = retryAfter; // seconds
  }
}

const CUT = "The connection was lost before the answer was complete.";

/** An address relative to the page, since the server may stand behind a proxy under a path of its own. */
export const at = (path) => new URL(path, document.baseURI);

/** The served models: [{id, context_length}]. */
export async function models() {
  const response = await call("v1/models");
  const body = await response.json().catch(() => null);
  if (!Array.isArray(body?.data)) throw new ApiError("other", "The server at this address is not an oxillama server.");
  return body.data;
}

/** What there is to know of the model: {demonstration, chat_template, keys, defaults: {temperature, top_p}}. */
export async function about() {
  return (await call("ui/about")).json();
}

/**
 * The pieces of one answer; `thought` is what the model thinks before it answers.
 * @yields {{text: string, thought: string, reason?: string, usage?: object, timings?: object}}
 */
export async function* chat(body, signal) {
  const sent = { ...body, stream: true, stream_options: { include_usage: true } };
  const response = await call("v1/chat/completions", {
    method: "POST",
    body: JSON.stringify(sent),
    headers: { "Content-Type": "application/json" },
    signal,
  });
  let whole = false;
  try {
    for await (const data of dataOf(response.body)) {
      whole ||= data === "[DONE]";
      if (whole) continue; // up to its very end, which leaving would cut off
      const event = JSON.parse(data);
      if (event.error) throw problem(response.status, event.error, response.headers);
      const choice = event.choices?.[0];
      const { usage, timings } = event;
      const { content, reasoning_content: thought } = choice?.delta ?? {};
      yield { text: content ?? "", thought: thought ?? "", reason: choice?.finish_reason, usage, timings };
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError("cut", CUT);
  }
  if (!whole) throw new ApiError("cut", CUT);
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (key.value) headers.Authorization = `Bearer ${key.value}`;
  let response;
  try {
    response = await fetch(at(path), { ...options, headers, cache: "no-store", redirect: "error" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError("gone", "The server does not answer. Is oxillama serve still running?");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw problem(response.status, body?.error, response.headers);
}

function problem(status, error, headers) {
  const message = error?.message ?? `The server answered with status ${status}.`;
  const retryAfter = Number.parseFloat(headers.get("Retry-After")) || null;
  if (status === 401) return new ApiError("key", message);
  if (status === 429) return new ApiError("busy", "The server is busy with other requests.", { retryAfter });
  if (status === 503) return new ApiError("loading", message, { retryAfter });
  if (error?.code === "context_length_exceeded") return new ApiError("context", message);
  if (error?.code === "model_not_found") return new ApiError("model", message);
  return new ApiError("other", message);
}
