"""The API's description (OpenAPI 3.1), made from the application's own routes and wire types."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec

from oxillama._version import __version__
from oxillama.assistants.records.types import Record
from oxillama.server.access.auth import OPEN_ENDPOINTS
from oxillama.server.operation import Operation, operation_of
from oxillama.server.wire.answers import ErrorEnvelope
from oxillama.server.wire.pagination import ListQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quart import Quart
    from werkzeug.routing import Rule

REF = "#/components/schemas/{name}"
LEFT_OUT = frozenset({"pages"})  # blueprints that answer browsers
# The order of the groups; whatever is not named comes between these.
FIRST = ("chat", "completions", "models", "assistants", "threads", "messages", "runs", "steps")
LAST = ("health", "openapi")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PAGE_QUERY = {
    "limit": "How many at most, 1 to 100.",
    "order": "`asc` begins with the oldest.",
    "after": "The id of an item: begin behind it.",
    "before": "The id of an item: end in front of it.",
}
ABOUT = (
    "The OpenAI API over one local model: chat completions, completions, models, and the Assistants API with threads, "
    "messages and runs. Streams are server-sent events and end with `data: [DONE]`. Every error is the same envelope."
)


def operations(app: Quart) -> Iterator[tuple[str, str, Rule]]:
    """(path as OpenAPI writes it, method, rule) of each route that is part of the API."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in LEFT_OUT:
            continue
        for method in METHODS:
            if method in (rule.methods or ()):
                yield re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", rule.rule), method, rule


def describe_api(app: Quart, *, needs_key: bool) -> dict[str, Any]:
    """The whole document. needs_key: whether callers must send a bearer key."""
    found = sorted(operations(app), key=lambda one: (one[0], METHODS.index(one[1])))
    described = {endpoint: operation_of(view) for endpoint, view in app.view_functions.items()}
    schemas = Schemas([ErrorEnvelope, *_types(described.values())])
    paths: dict[str, Any] = {}
    for path, method, rule in found:
        view = app.view_functions[rule.endpoint]
        operation = _operation(rule, view.__name__, inspect.getdoc(view), described[rule.endpoint], schemas)
        if needs_key and rule.endpoint not in OPEN_ENDPOINTS:
            operation["security"] = [{"key": []}]
        paths.setdefault(path, {})[method.lower()] = operation
    components: dict[str, Any] = {"schemas": schemas.components}
    if needs_key:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "oxillama",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag} for tag in sorted({_tag(rule) for _, _, rule in found}, key=_place)],
        "paths": paths,
        "components": components,
    }


def _tag(rule: Rule) -> str:
    return str(rule.endpoint).partition(".")[0]


def _place(tag: str) -> tuple[int, str]:
    if tag in FIRST:
        return FIRST.index(tag) - len(FIRST), tag
    return (LAST.index(tag) + 1 if tag in LAST else 0), tag


def _types(described: Any) -> list[Any]:
    """Every type that is named anywhere, pages as what they hold."""
    named = [kind for one in described for kind in (one.body, one.answer, one.chunk) if kind is not None]
    return list(dict.fromkeys(_item(kind) or kind for kind in named))


def _item(kind: Any) -> Any:
    """What a page of `list[T]` holds; None for anything else."""
    return get_args(kind)[0] if get_origin(kind) is list else None


class Schemas:
    """JSON schemas of the wire types; each struct stands once, in `components`."""

    def __init__(self, types: list[Any]) -> None:
        references, self.components = msgspec.json.schema_components(types, ref_template=REF)
        self._references = dict(zip(types, references, strict=True))
        for kind, reference in self._references.items():
            if isinstance(kind, type) and issubclass(kind, Record):
                self._as_sent(kind, self.components[reference["$ref"].rpartition("/")[2]])

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type: a reference, or for a page the list envelope around one."""
        item = _item(kind)
        if item is None:
            return dict(self._references[kind])
        cursor = {"type": ["string", "null"]}
        properties = {
            "object": {"const": "list"},
            "data": {"type": "array", "items": self._references[item]},
            "first_id": cursor,
            "last_id": cursor,
            "has_more": {"type": "boolean"},
        }
        return {"type": "object", "properties": properties, "required": list(properties)}

    @staticmethod
    def _as_sent(kind: type[Record], schema: dict[str, Any]) -> None:
        """`Record.to_wire`: with `object`, without what only the store needs, and every key always there."""
        kept = {name: value for name, value in schema["properties"].items() if name not in kind.PRIVATE}
        schema["properties"] = {"id": kept.pop("id"), "object": {"const": kind.OBJECT}, **kept}
        schema["required"] = list(schema["properties"])
        schema["description"] = (kind.__doc__ or "").partition("\n")[0]  # the rest is about what only the store needs


def _operation(rule: Rule, name: str, about: str | None, said: Operation, schemas: Schemas) -> dict[str, Any]:
    words = name.replace("_", " ")
    made: dict[str, Any] = {"tags": [_tag(rule)], "operationId": name, "summary": words[0].upper() + words[1:]}
    if about:
        made["description"] = about
    parameters = [
        {"name": argument, "in": "path", "required": True, "schema": {"type": "string"}}
        for argument in sorted(rule.arguments, key=rule.rule.index)
    ]
    parameters += [_query(parameter, text) for parameter, text in said.query]
    if _item(said.answer) is not None:
        parameters += [_query(parameter, text) for parameter, text in PAGE_QUERY.items()]
    if parameters:
        made["parameters"] = parameters
    if said.body is not None:
        made["requestBody"] = {"required": True, "content": _json(schemas.of(said.body))}
    content = _json(schemas.of(said.answer)) if said.answer is not None else {}
    if said.chunk is not None:
        content["text/event-stream"] = {"schema": schemas.of(said.chunk)}
    success: dict[str, Any] = {"description": "Success"}
    made["responses"] = {
        "200": success | ({"content": content} if content else {}),
        "default": {"description": "Any error", "content": _json(schemas.of(ErrorEnvelope))},
    }
    return made


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _query(name: str, about: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name in PAGE_QUERY:
        schema = msgspec.json.schema(ListQuery)["$defs"]["ListQuery"]["properties"][name]
    return {"name": name, "in": "query", "description": about, "schema": schema}
