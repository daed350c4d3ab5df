"""Threads, messages, runs and run steps, as they are stored.

Each is an immutable record; a change is a new record. Ids and a message's thread come from the place where a record
lies, not from its content. What a client sees of a record is the server's business.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

Metadata = dict[str, str]
Role = Literal["user", "assistant"]
MessageStatus = Literal["in_progress", "incomplete", "completed"]

RUN_LIFETIME_S = 600


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all stored objects share. On disk a field that has its default is left out."""

    id: str
    created_at: int


class RunError(msgspec.Struct, frozen=True):
    """Why a run or a step failed; `code` is `server_error`, `rate_limit_exceeded` or `invalid_prompt`."""

    code: str
    message: str


class TokenUsage(msgspec.Struct, frozen=True):
    """Tokens of a run or a step."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Assistant(Record, frozen=True, kw_only=True):
    """A model with instructions and settings, to run threads with."""

    name: str | None = None
    description: str | None = None
    model: str
    instructions: str | None = None
    tools: list[dict[str, Any]] = []
    tool_resources: dict[str, Any] | None = None
    metadata: Metadata = {}
    temperature: float | None = 1.0
    top_p: float | None = 1.0
    response_format: str | dict[str, Any] = "auto"
    reasoning_effort: str | None = None
    sequence: int = 0


class Thread(Record, frozen=True, kw_only=True):
    """A conversation."""

    metadata: Metadata = {}
    tool_resources: dict[str, Any] | None = None


class TextValue(msgspec.Struct, frozen=True):
    """The text of a content part; annotations point into it by character offsets."""

    value: str
    annotations: list[dict[str, Any]] = []


class TextContent(msgspec.Struct, frozen=True):
    """A content part of a stored message (requests carry `text` as a plain string, objects as this)."""

    text: TextValue
    type: Literal["text"] = "text"


class IncompleteDetails(msgspec.Struct, frozen=True):
    """Why a message or a run ended early."""

    reason: str


class ThreadMessage(Record, frozen=True, kw_only=True):
    """One message of a thread.

    usage: what producing it cost, so that a restart can complete its run. deleted: the record takes the message away.
    """

    thread_id: str = ""
    role: Role
    content: list[TextContent]
    status: MessageStatus
    incomplete_details: IncompleteDetails | None = None
    completed_at: int | None = None
    incomplete_at: int | None = None
    assistant_id: str | None = None
    run_id: str | None = None
    attachments: list[dict[str, Any]] = []
    metadata: Metadata = {}
    usage: TokenUsage | None = None
    deleted: bool = False

    @classmethod
    def new_user(
        cls,
        message_id: str,
        text: str | list[str],
        created_at: int,
        metadata: Metadata | None = None,
        role: Role = "user",
    ) -> ThreadMessage:
        """A message as a client adds it: complete from the start."""
        parts = [text] if isinstance(text, str) else text
        return cls(
            id=message_id,
            created_at=created_at,
            role=role,
            content=[TextContent(TextValue(part)) for part in parts],
            status="completed",
            completed_at=created_at,
            metadata=metadata or {},
        )

    @classmethod
    def new_assistant(cls, message_id: str, run: Run, created_at: int) -> ThreadMessage:
        """The message that a run is about to write: in progress, and empty."""
        return cls(
            id=message_id,
            created_at=created_at,
            thread_id=run.thread_id,
            role="assistant",
            content=[],
            status="in_progress",
            assistant_id=run.assistant_id,
            run_id=run.id,
        )

    @property
    def text_content(self) -> str:
        """All its text."""
        return "".join(part.text.value for part in self.content)


class RunStatus(enum.StrEnum):
    """Where a run stands."""

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
        """Whether the run has ended, which also frees its thread."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {RunStatus.CANCELLED, RunStatus.FAILED, RunStatus.COMPLETED, RunStatus.INCOMPLETE, RunStatus.EXPIRED}
)


class Run(Record, frozen=True, kw_only=True):
    """One answer of an assistant to a thread, and how far it has come.

    sequence: its place among the thread's runs. streamed: a client was reading it as it was made. attempts: how often a
    worker began it.
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
    tools: list[dict[str, Any]] = []
    metadata: Metadata = {}
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
    sequence: int = 0
    streamed: bool = False
    attempts: int = 0


class RunStepStatus(enum.StrEnum):
    """Where a step stands."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self is not RunStepStatus.IN_PROGRESS


class MessageCreation(msgspec.Struct, frozen=True):
    """Which message a step writes."""

    message_id: str


class MessageCreationStepDetails(msgspec.Struct, frozen=True):
    """The details of a step that writes a message."""

    message_creation: MessageCreation
    type: Literal["message_creation"] = "message_creation"


class RunStep(Record, frozen=True, kw_only=True):
    """One thing that a run does."""

    run_id: str = ""
    assistant_id: str
    thread_id: str = ""
    type: Literal["message_creation"] = "message_creation"
    status: RunStepStatus
    step_details: MessageCreationStepDetails
    last_error: RunError | None = None
    expires_at: int | None = None
    expired_at: int | None = None
    cancelled_at: int | None = None
    failed_at: int | None = None
    completed_at: int | None = None
    metadata: Metadata | None = None
    usage: TokenUsage | None = None
    sequence: int = 0

    @classmethod
    def new_message_creation(cls, step_id: str, run: Run, message_id: str, created_at: int) -> RunStep:
        """A step in progress that names the message it will write."""
        return cls(
            id=step_id,
            created_at=created_at,
            run_id=run.id,
            assistant_id=run.assistant_id,
            thread_id=run.thread_id,
            status=RunStepStatus.IN_PROGRESS,
            step_details=MessageCreationStepDetails(MessageCreation(message_id)),
            expires_at=run.expires_at,
        )

    @property
    def message_id(self) -> str:
        return self.step_details.message_creation.message_id
