"""The form that an answer's text is asked for."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oxillama.server.wire.fields import FunctionName
from oxillama.server.wire.invalid import missing_parameter


class JsonSchemaFormat(msgspec.Struct, kw_only=True, omit_defaults=True):
    name: FunctionName
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, kw_only=True, omit_defaults=True):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


def check_format(wanted: str | ResponseFormat | None) -> None:
    """A schema format must have its schema."""
    if isinstance(wanted, ResponseFormat) and wanted.type == "json_schema" and wanted.json_schema is None:
        raise missing_parameter("response_format.json_schema")
