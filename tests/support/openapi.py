"""A check that a document is well-formed OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), for the parts we use."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

REQUIRED = {"document": {"openapi", "info", "paths"}, "info": {"title", "version"}, "operation": {"responses"}}
ALLOWED = {
    "document": {"openapi", "info", "servers", "tags", "paths", "components", "security"},
    "info": {"title", "version", "description", "license", "contact", "summary", "termsOfService"},
    "operation": {
        "tags", "operationId", "summary", "description", "parameters", "requestBody", "responses", "security",
        "deprecated",
    },
    "parameter": {"name", "in", "required", "description", "schema"},
    "components": {"schemas", "securitySchemes"},
}  # fmt: skip
TYPES = {"null", "boolean", "integer", "number", "string", "array", "object"}


def document_faults(document: dict[str, Any]) -> list[str]:
    """The problems of the document; empty if it is well formed."""
    return list(_faults(document))


def _faults(document: dict[str, Any]) -> Iterator[str]:
    yield from _keys("document", document, "document")
    yield from _keys("info", document["info"], "info")
    yield from _keys("components", document["components"], "components")
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if not re.fullmatch(r"[a-zA-Z0-9._-]+", name):
            yield f"component {name!r}"
        yield from _schema(schema, f"component {name}")
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))):
        if reference.removeprefix("#/components/schemas/") not in schemas:
            yield f"reference {reference}"
    operations = [
        (f"{method} {path}", path, one)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    ]
    for id_, count in Counter(one["operationId"] for _, _, one in operations).items():
        if count > 1:
            yield f"operationId {id_} {count} times"
    for where, path, operation in operations:
        if not path.startswith("/"):
            yield f"path {path}"
        yield from _operation(operation, path, where, document)


def _operation(operation: dict[str, Any], path: str, where: str, document: dict[str, Any]) -> Iterator[str]:
    yield from _keys("operation", operation, where)
    tags = {tag["name"] for tag in document.get("tags", ())}
    schemes = document["components"].get("securitySchemes", {})
    if not set(operation.get("tags", ())) <= tags:
        yield f"{where}: tags {operation['tags']}"
    for need in operation.get("security", ()):
        if not set(need) <= set(schemes):
            yield f"{where}: security {need}"
    parameters = operation.get("parameters", [])
    for parameter in parameters:
        yield from _keys("parameter", parameter, f"{where} {parameter['name']}")
        yield from _schema(parameter["schema"], f"{where} {parameter['name']}")
        if parameter["in"] == "path" and not parameter.get("required"):
            yield f"{where}: {parameter['name']} is in the path and not required"
    if [p["name"] for p in parameters if p["in"] == "path"] != re.findall(r"{(\w+)}", path):
        yield f"{where}: parameters of the path"
    if len({(p["name"], p["in"]) for p in parameters}) != len(parameters):
        yield f"{where}: a parameter twice"
    if not any(re.fullmatch(r"[1-5]\d\d|default", status) for status in operation["responses"]):
        yield f"{where}: responses"
    bodies = [*operation["responses"].values()]
    if any("description" not in response for response in bodies):
        yield f"{where}: a response without a description"
    for holder in [*bodies, operation.get("requestBody", {})]:
        for kind, media in holder.get("content", {}).items():
            if not re.fullmatch(r"[a-z]+/[a-z.+-]+", kind):
                yield f"{where}: media type {kind}"
            yield from _schema(media["schema"], f"{where} {kind}")


def _keys(kind: str, given: dict[str, Any], where: str) -> Iterator[str]:
    for key in REQUIRED.get(kind, set()) - set(given):
        yield f"{where}: no {key}"
    for key in set(given) - ALLOWED[kind]:
        yield f"{where}: {key} is unknown"


def _schema(schema: dict[str, Any], where: str) -> Iterator[str]:
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind not in TYPES:
            yield f"{where}: type {kind}"
    missing = set(schema.get("required", ())) - set(schema.get("properties", {}))
    if missing:
        yield f"{where}: {missing} required, but not there"
    inner = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    inner += [schema[key] for key in ("items", "additionalProperties", "propertyNames", "not") if key in schema]
    for one in inner:
        if isinstance(one, dict):
            yield from _schema(one, where)
