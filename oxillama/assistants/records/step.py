"""Run steps."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Literal

import msgspec

from oxillama.assistants.records.common import Metadata, RunError, TokenUsage
from oxillama.storage.record import Record

if TYPE_CHECKING:
    from oxillama.assistants.records.run import Run


class RunStepStatus(enum.StrEnum):
    """The status of a step."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self is not RunStepStatus.IN_PROGRESS


class MessageCreation(msgspec.Struct, frozen=True):
    """The message that a step writes."""

    message_id: str


class MessageCreationStepDetails(msgspec.Struct, frozen=True):
    """The details of a step that writes a message."""

    message_creation: MessageCreation
    type: Literal["message_creation"] = "message_creation"


class RunStep(Record, frozen=True, kw_only=True):
    """One action of a run."""

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

    @classmethod
    def new_message_creation(cls, step_id: str, run: Run, message_id: str, created_at: int) -> RunStep:
        """An open step that names the message it will write."""
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
