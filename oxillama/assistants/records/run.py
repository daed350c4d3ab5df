"""Runs: one answer of an assistant to a thread."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from oxillama.assistants.records.common import IncompleteDetails, Metadata, RunError, TokenUsage
from oxillama.assistants.records.message import ThreadMessage
from oxillama.storage.record import Record

RUN_LIFETIME_S = 600
"""How many seconds a run has from the start of its work, unless the server is told otherwise."""


class RunStatus(enum.StrEnum):
    """The status of a run."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    REQUIRES_ACTION = "requires_action"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended and no longer locks its thread."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {RunStatus.CANCELLED, RunStatus.FAILED, RunStatus.COMPLETED, RunStatus.INCOMPLETE, RunStatus.EXPIRED}
)


class Run(Record, frozen=True, kw_only=True):
    """One answer of an assistant to a thread.

    expires_at: while nothing of the run has begun, what it would be if it began at once; a queue expires no run.
    tool_resources: the assistant's, or those that the request named instead. seed: of its first reply; the others
    derive theirs from it, so that a run that is executed again writes the same. attempts: how often a worker began it
    since a client last heard of its state. held: messages to add to the thread when the run's turn comes.
    """

    thread_id: str = ""
    assistant_id: str
    status: RunStatus
    started_at: int | None = None
    expires_at: int | None = None
    cancelled_at: int | None = None
    failed_at: int | None = None
    completed_at: int | None = None
    required_action: dict[str, Any] | None = None
    last_error: RunError | None = None
    incomplete_details: IncompleteDetails | None = None
    model: str
    instructions: str = ""
    tools: list[dict[str, Any]] = msgspec.field(default_factory=list)
    metadata: Metadata = msgspec.field(default_factory=dict)
    usage: TokenUsage | None = None
    temperature: float | None = 1.0
    top_p: float | None = 1.0
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    truncation_strategy: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "auto", "last_messages": None})
    tool_choice: str | dict[str, Any] = "auto"
    parallel_tool_calls: bool = True
    response_format: str | dict[str, Any] = "auto"
    reasoning_effort: str | None = None
    tool_resources: dict[str, Any] | None = None
    seed: int | None = None
    streamed: bool = False
    attempts: int = 0
    held: list[ThreadMessage] = msgspec.field(default_factory=list)

    @property
    def has_begun(self) -> bool:
        """Whether a worker has ever begun it. Before, no time counts towards its expiry."""
        return self.started_at is not None or self.status is not RunStatus.QUEUED
