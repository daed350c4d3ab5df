"""The API's description (OpenAPI 3.1), made from the operations that the application serves."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, get_origin

import msgspec

from oxillama._version import __version__
from oxillama.server.apis.openapi.answer import (
    Components,
    Document,
    Info,
    License,
    MediaType,
    OperationObject,
    Parameter,
    RequestBody,
    ResponseObject,
    SecurityScheme,
    Tag,
)
from oxillama.server.apis.openapi.schemas import Schemas
from oxillama.server.wire.errors import ErrorEnvelope
from oxillama.server.wire.pagination import LIST_PARAMETERS, Page

if TYPE_CHECKING:
    from oxillama.engine.api.sampling import SamplerSettings
    from oxillama.server.operation import Operation, Operations

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
KEY = "key"
ABOUT = (
    "The OpenAI API over one local model: chat completions, completions, models, and the Assistants API with threads, "
    "messages and runs. Streams are server-sent events and end with `data: [DONE]`. Every error is the same envelope."
)


def describe_api(
    operations: Operations, *, needs_key: bool, model: str = "MODEL", sampling: SamplerSettings | None = None
) -> Document:
    """The whole document.

    needs_key: whether clients must send a bearer key. model: its id, for the examples. sampling: the defaults for
    parameters that a request leaves out.
    """
    described = [operation for operation in operations if operation.described]
    described.sort(key=lambda operation: (described_path(operation), METHODS.index(operation.method)))
    schemas = Schemas(described, ErrorEnvelope, sampling=sampling)
    paths: dict[str, dict[str, OperationObject]] = {}
    for operation in described:
        methods = paths.setdefault(described_path(operation), {})
        methods[operation.method.lower()] = _describe(operation, schemas, model, needs_key=needs_key)
    return Document(
        info=Info(
            title="oxillama",
            version=__version__,
            description=ABOUT,
            license=License(name="Apache-2.0", identifier="Apache-2.0"),
        ),
        tags=[Tag(name=name) for name in operations.groups()],
        paths=paths,
        components=Components(
            schemas=schemas.components,
            security_schemes={KEY: SecurityScheme()} if needs_key else msgspec.UNSET,
        ),
    )


def described_path(operation: Operation) -> str:
    """The path as OpenAPI writes it."""
    return re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", operation.path)


def _describe(operation: Operation, schemas: Schemas, model: str, *, needs_key: bool) -> OperationObject:
    words = operation.name.replace("_", " ")
    return OperationObject(
        tags=[operation.api],
        operation_id=operation.name,
        summary=words[0].upper() + words[1:],
        description=inspect.getdoc(operation.view) or msgspec.UNSET,
        parameters=_parameters(operation) or msgspec.UNSET,
        request_body=_body(operation, schemas, model),
        responses={"200": _success(operation, schemas), "default": _json("Any error", schemas.of(ErrorEnvelope))},
        security=[{KEY: []}] if needs_key and not operation.open else msgspec.UNSET,
    )


def _parameters(operation: Operation) -> list[Parameter]:
    names = re.findall(r"{([^}]+)}", described_path(operation))
    found = [Parameter(name=name, place="path", required=True, schema={"type": "string"}) for name in names]
    for name, about in operation.query.items():
        found.append(Parameter(name=name, place="query", description=about, schema={"type": "string"}))
    if get_origin(operation.answer) is Page:
        for name, (about, schema) in LIST_PARAMETERS.items():
            found.append(Parameter(name=name, place="query", description=about, schema=schema))
    return found


def _body(operation: Operation, schemas: Schemas, model: str) -> RequestBody | msgspec.UnsetType:
    if operation.body is None:
        return msgspec.UNSET
    fields = msgspec.structs.fields(operation.body)
    # An absent body is read as `{}`.
    required = any(field.required for field in fields)
    has_model = any(field.name == "model" and field.required for field in fields)
    example = {"model": model, **operation.example} if has_model else dict(operation.example)
    body = MediaType(schema=schemas.of(operation.body), example=example)
    return RequestBody(required=required, content={"application/json": body})


def _success(operation: Operation, schemas: Schemas) -> ResponseObject:
    content: dict[str, MediaType] = {}
    if operation.answer is not None:
        content["application/json"] = MediaType(schema=schemas.of(operation.answer))
    if operation.chunk is not None:
        content["text/event-stream"] = MediaType(schema=schemas.of_events(operation.chunk))
    return ResponseObject(description="Success", content=content or msgspec.UNSET)


def _json(description: str, schema: dict[str, object]) -> ResponseObject:
    return ResponseObject(description=description, content={"application/json": MediaType(schema=schema)})
