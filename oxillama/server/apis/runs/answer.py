"""/v1/threads/{thread}/runs: the answer."""

from __future__ import annotations

from typing import Any, Literal

from oxillama.assistants.records import IncompleteDetails, RunError, RunStatus, TokenUsage
from oxillama.server.wire.answer import RecordAnswer


class RunObject(RecordAnswer, kw_only=True):
    """One answer of an assistant to a thread, and its progress."""

    id: str
    object: Literal["thread.run"] = "thread.run"
    created_at: int
    thread_id: str
    assistant_id: str
    status: RunStatus
    started_at: int | None
    expires_at: int | None
    cancelled_at: int | None
    failed_at: int | None
    completed_at: int | None
    required_action: dict[str, Any] | None
    last_error: RunError | None
    incomplete_details: IncompleteDetails | None
    model: str
    instructions: str
    tools: list[dict[str, Any]]
    metadata: dict[str, str]
    usage: TokenUsage | None
    temperature: float | None
    top_p: float | None
    max_prompt_tokens: int | None
    max_completion_tokens: int | None
    truncation_strategy: dict[str, Any]
    tool_choice: str | dict[str, Any]
    parallel_tool_calls: bool
    response_format: str | dict[str, Any]
    reasoning_effort: str | None
