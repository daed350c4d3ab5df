// The API's description as a page: every route, what it takes and answers, and a command that calls it.

import { defaultOf, objectsOf, schemaOf, typeOf } from "./api/schema.js";
import { el, quoted } from "./lib/dom.js";

const TITLES = { openapi: "This description", steps: "Run steps" };
const title = (tag) => TITLES[tag] ?? tag[0].toUpperCase() + tag.slice(1);

const byId = (id) => document.getElementById(id);
const DEPTH_SHOWN = 8; // of nested objects

function operations(api) {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  );
}

function operationView(api, operation) {
  const { path, method, summary } = operation;
  const head = el(
    "summary",
    {},
    el("span", { className: `method ${method}` }, method.toUpperCase()),
    el("span", { className: "path" }, path),
    el("span", { className: "says" }, summary),
  );
  const made = el("details", { className: "operation", id: operation.operationId }, head);
  made.dataset.text = `${method} ${path} ${summary}`.toLowerCase();
  // The details are created when they are first opened: all schemas together are thousands of elements.
  made.addEventListener("toggle", () => made.append(details(api, operation)), { once: true });
  return made;
}

function details(api, operation) {
  const holder = el("div", { className: "detail" });
  if (operation.description) holder.append(el("p", {}, ...marked(operation.description)));
  const { schema: body, example } = operation.requestBody?.content["application/json"] ?? {};
  const answers = operation.responses["200"].content ?? {};
  section(holder, "Parameters", operation.parameters && parameters(operation.parameters));
  section(holder, "Body", body && fields(api, body));
  for (const [type, { schema }] of Object.entries(answers))
    section(holder, type === "text/event-stream" ? "Each event of a stream" : "Answer", fields(api, schema));
  section(holder, "Example", el("pre", { tabIndex: 0 }, el("code", {}, command(api, operation, body, example))));
  return holder;
}

/** Text with `code` in it. */
function marked(text) {
  return text.split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
}

function section(holder, title, content) {
  if (content) holder.append(el("h3", {}, title), content);
}

function parameters(list) {
  const items = list.map(({ name, in: place, required, schema, description }) =>
    field(name, `${typeOf(schema)}${defaultOf(schema)} in the ${place}`, required, description),
  );
  return el("ul", { className: "schema" }, ...items);
}

function field(name, kind, required, about, inside = null) {
  const head = [el("code", {}, name), el("span", { className: "kind" }, kind)];
  if (required) head.push(el("span", { className: "must" }, "required"));
  const note = about ? el("span", { className: "note" }, ...marked(about)) : null;
  if (!inside) return el("li", {}, ...head, note);
  return el("li", {}, el("details", {}, el("summary", {}, ...head), note, inside));
}

/** A field that opens on demand, if objects are within. */
function fieldView(api, name, value, required, depth) {
  const opens = objectsOf(api, value).length && depth < DEPTH_SHOWN;
  const item = field(name, typeOf(value) + defaultOf(value), required, value.description, opens ? el("div") : null);
  if (opens) {
    const details = item.firstElementChild;
    const fill = () => details.lastElementChild.append(fields(api, value, depth + 1));
    details.addEventListener("toggle", fill, { once: true });
  }
  return item;
}

/** The fields of an object as a list; of several objects that may stand there, each by its name. */
function fields(api, schema, depth = 0) {
  const objects = objectsOf(api, schema);
  if (!objects.length) return el("p", {}, typeOf(schema));
  const list = el("ul", { className: "schema" });
  if (objects.length > 1) {
    list.append(...objects.map((one) => fieldView(api, one.title, one, false, depth)));
    return list;
  }
  const [{ properties, required = [], description }] = objects;
  if (description && depth === 0) list.append(el("li", {}, el("span", { className: "note" }, ...marked(description))));
  const isNeeded = ([name]) => (required.includes(name) ? 0 : 1);
  for (const [name, value] of Object.entries(properties).sort((a, b) => isNeeded(a) - isNeeded(b)))
    list.append(fieldView(api, name, value, required.includes(name), depth));
  return list;
}

/** A command that calls the route: with the description's own example of a body, else with what is required. */
function command(api, { path, method, security }, body, example = null) {
  const address = new URL(`.${path}`, document.baseURI).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}'${address}'`];
  if (security) lines.push(`-H "Authorization: Bearer $KEY"`);
  if (body) {
    const { properties = {}, required = [] } = schemaOf(api, body);
    const made = () => Object.fromEntries(required.map((name) => [name, sample(api, name, properties[name])]));
    lines.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(example ?? made()))}`);
  }
  return lines.join(" \\\n  ");
}

function sample(api, name, schema) {
  if (name === "model") return "MODEL";
  const whole = schemaOf(api, schema);
  if (whole.enum) return whole.enum.includes("user") ? "user" : whole.enum[0];
  if (name === "content") return "Hello";
  if (schema.type === "array") return [sample(api, "", schema.items)];
  if (!whole.properties) return { integer: 1, number: 1, boolean: true }[whole.type] ?? "…";
  const wanted = [...(whole.required ?? []), ...(whole.properties.role ? ["content"] : [])];
  return Object.fromEntries([...new Set(wanted)].map((inner) => [inner, sample(api, inner, whole.properties[inner])]));
}

function show(api) {
  byId("about").replaceChildren(...marked(api.info.description));
  byId("auth").textContent = api.components.securitySchemes
    ? "This server asks for a key: send it as “Authorization: Bearer …”."
    : "This server needs no key.";
  const all = operations(api);
  for (const { name } of api.tags) {
    const members = all.filter((operation) => operation.tags.includes(name));
    const views = members.map((operation) => operationView(api, operation));
    const heading = el("h2", { id: `group-${name}` }, title(name));
    byId("groups").append(el("section", { "aria-labelledby": heading.id }, heading, ...views));
  }
  const links = api.tags.map(({ name }) => el("li", {}, el("a", { href: `#group-${name}` }, title(name))));
  byId("toc").append(el("ul", {}, ...links));
}

function filter() {
  const wanted = byId("filter").value.trim().toLowerCase();
  let shown = 0;
  for (const group of byId("groups").children) {
    const views = [...group.querySelectorAll(".operation")];
    for (const view of views) view.hidden = !view.dataset.text.includes(wanted);
    const visible = views.filter((view) => !view.hidden).length;
    group.hidden = !visible;
    shown += visible;
  }
  byId("none").hidden = shown > 0;
}

async function start() {
  byId("filter").addEventListener("input", filter);
  try {
    const response = await fetch(new URL("openapi.json", document.baseURI));
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json());
  } catch (error) {
    byId("about").textContent = `The description could not be loaded (${error.message}). Is the server running?`;
    byId("about").className = "failed";
    return;
  }
  const wanted = location.hash && byId(location.hash.slice(1));
  if (wanted) {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

start();
