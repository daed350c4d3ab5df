"""/v1/assistants: the requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.server.wire.fields import Metadata, ReasoningEffort, Temperature, Text, TopP, given
from oxillama.server.wire.formats import ResponseFormat
from oxillama.server.wire.tools import Tool, ToolResources

ModelId = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class AssistantFields(msgspec.Struct, kw_only=True):
    """The fields of an assistant that a request can set or change."""

    name: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    description: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    instructions: Text | None = None
    tools: Annotated[list[Tool], msgspec.Meta(max_length=128)] | None = None
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    response_format: Literal["auto"] | ResponseFormat | None = None
    reasoning_effort: ReasoningEffort | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as they are stored."""
        return given(self)


class CreateAssistant(AssistantFields, kw_only=True):
    model: ModelId


class ModifyAssistant(AssistantFields, kw_only=True):
    model: ModelId | None = None
