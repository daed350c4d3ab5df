"""/v1/threads/{thread}/runs/{run}/steps: the answer."""

from __future__ import annotations

from typing import Literal

from oxillama.assistants.records import MessageCreationStepDetails, RunError, RunStepStatus, TokenUsage
from oxillama.server.wire.answer import RecordAnswer


class RunStepObject(RecordAnswer, kw_only=True):
    """One action of a run."""

    id: str
    object: Literal["thread.run.step"] = "thread.run.step"
    created_at: int
    run_id: str
    assistant_id: str
    thread_id: str
    type: Literal["message_creation"]
    status: RunStepStatus
    step_details: MessageCreationStepDetails
    last_error: RunError | None
    expires_at: int | None
    expired_at: int | None
    cancelled_at: int | None
    failed_at: int | None
    completed_at: int | None
    metadata: dict[str, str] | None
    usage: TokenUsage | None
