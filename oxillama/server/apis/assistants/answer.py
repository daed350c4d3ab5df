"""/v1/assistants: the answer."""

from __future__ import annotations

from typing import Any, Literal

from oxillama.server.wire.answer import RecordAnswer


class AssistantObject(RecordAnswer, kw_only=True):
    """A model with instructions and settings, to run threads with."""

    id: str
    object: Literal["assistant"] = "assistant"
    created_at: int
    name: str | None
    description: str | None
    model: str
    instructions: str | None
    tools: list[dict[str, Any]]
    tool_resources: dict[str, Any] | None
    metadata: dict[str, str]
    temperature: float | None
    top_p: float | None
    response_format: str | dict[str, Any]
    reasoning_effort: str | None
