"""/v1/threads: the answer."""

from __future__ import annotations

from typing import Any, Literal

from oxillama.server.wire.answer import RecordAnswer


class ThreadObject(RecordAnswer, kw_only=True):
    """A conversation."""

    id: str
    object: Literal["thread"] = "thread"
    created_at: int
    metadata: dict[str, str]
    tool_resources: dict[str, Any] | None
