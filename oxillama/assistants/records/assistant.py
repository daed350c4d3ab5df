"""Assistants."""

from __future__ import annotations

from typing import Any

import msgspec

from oxillama.assistants.records.common import Metadata
from oxillama.storage.record import Record


class Assistant(Record, frozen=True, kw_only=True):
    """A model with instructions and settings, to run threads with."""

    name: str | None = None
    description: str | None = None
    model: str
    instructions: str | None = None
    tools: list[dict[str, Any]] = msgspec.field(default_factory=list)
    tool_resources: dict[str, Any] | None = None
    metadata: Metadata = msgspec.field(default_factory=dict)
    temperature: float | None = 1.0
    top_p: float | None = 1.0
    response_format: str | dict[str, Any] = "auto"
    reasoning_effort: str | None = None
