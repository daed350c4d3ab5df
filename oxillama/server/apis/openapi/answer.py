"""GET /openapi.json: the parts of the document that are used (OpenAPI 3.1.0, https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oxillama.server.wire.answer import Answer

Schema = dict[str, Any]


class DocumentPart(Answer, kw_only=True, rename="camel"):
    """UNSET parts are left out."""


class License(DocumentPart, kw_only=True):
    name: str
    identifier: str


class Info(DocumentPart, kw_only=True):
    title: str
    version: str
    description: str
    license: License


class Tag(DocumentPart, kw_only=True):
    name: str


class Parameter(DocumentPart, kw_only=True):
    name: str
    place: Literal["path", "query"] = msgspec.field(name="in")
    required: bool | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    schema: Schema


class MediaType(DocumentPart, kw_only=True):
    schema: Schema
    example: Any = msgspec.UNSET


class RequestBody(DocumentPart, kw_only=True):
    required: bool
    content: dict[str, MediaType]


class ResponseObject(DocumentPart, kw_only=True):
    description: str
    content: dict[str, MediaType] | msgspec.UnsetType = msgspec.UNSET


class OperationObject(DocumentPart, kw_only=True):
    tags: list[str]
    operation_id: str
    summary: str
    description: str | msgspec.UnsetType = msgspec.UNSET
    parameters: list[Parameter] | msgspec.UnsetType = msgspec.UNSET
    request_body: RequestBody | msgspec.UnsetType = msgspec.UNSET
    responses: dict[str, ResponseObject]
    security: list[dict[str, list[str]]] | msgspec.UnsetType = msgspec.UNSET


class SecurityScheme(DocumentPart, kw_only=True):
    type: Literal["http"] = "http"
    scheme: Literal["bearer"] = "bearer"


class Components(DocumentPart, kw_only=True):
    schemas: dict[str, Schema]
    security_schemes: dict[str, SecurityScheme] | msgspec.UnsetType = msgspec.UNSET


class Document(DocumentPart, kw_only=True):
    openapi: Literal["3.1.0"] = "3.1.0"
    info: Info
    tags: list[Tag]
    paths: dict[str, dict[str, OperationObject]]
    components: Components
