"""Status changes of runs, steps and messages, and what a restart does with an unfinished run. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from oxillama.assistants.records import (
    IncompleteDetails,
    Run,
    RunError,
    RunStatus,
    RunStep,
    RunStepStatus,
    TextContent,
    TextValue,
    ThreadMessage,
    TokenUsage,
)

MAX_ATTEMPTS = 3  # a run that was begun this often without an end may be what crashes the server

INTERRUPTED = RunError("server_error", "The run was interrupted by a restart of the server.")
NOT_STORED = RunError("server_error", "The server could not store the run.")
EXPIRED = RunError("server_error", "The run did not finish before it expired.")

# The status of a run that stored an incomplete message, by the message's reason.
_BY_MESSAGE_REASON = {
    "max_tokens": RunStatus.INCOMPLETE,
    "run_cancelled": RunStatus.CANCELLED,
    "run_expired": RunStatus.EXPIRED,
    "run_failed": RunStatus.FAILED,
}
_MESSAGE_REASON = {status: reason for reason, status in _BY_MESSAGE_REASON.items()}

_STEP_STATUS = {
    RunStatus.COMPLETED: RunStepStatus.COMPLETED,
    RunStatus.INCOMPLETE: RunStepStatus.COMPLETED,
    RunStatus.CANCELLED: RunStepStatus.CANCELLED,
    RunStatus.EXPIRED: RunStepStatus.EXPIRED,
    RunStatus.FAILED: RunStepStatus.FAILED,
}

_RUN_TIMES = {
    RunStatus.IN_PROGRESS: "started_at",
    RunStatus.COMPLETED: "completed_at",
    RunStatus.INCOMPLETE: "completed_at",
    RunStatus.CANCELLED: "cancelled_at",
    RunStatus.FAILED: "failed_at",
}


def move_run(run: Run, status: RunStatus, now: int, **changes: Any) -> Run:
    """The run with another status and the times that belong to it."""
    time = _RUN_TIMES.get(status)
    if time is not None and getattr(run, time) is None:
        changes[time] = now
    if status.is_terminal:
        changes["expires_at"] = None
    if status is RunStatus.EXPIRED:
        changes.setdefault("last_error", EXPIRED)
    return msgspec.structs.replace(run, status=status, **changes)


def move_step(step: RunStep, status: RunStepStatus, now: int, **changes: Any) -> RunStep:
    """The step with another status and the time that belongs to it."""
    if status.is_terminal:
        changes[f"{status.value}_at"] = now
        changes["expires_at"] = None
    return msgspec.structs.replace(step, status=status, **changes)


def step_status(run_status: RunStatus) -> RunStepStatus:
    """The status of a run's open step after the run ended with `run_status`."""
    return _STEP_STATUS[run_status]


def end_message(
    message: ThreadMessage, text: str, run_status: RunStatus, now: int, usage: TokenUsage | None
) -> ThreadMessage:
    """The message with the generated text, as it is stored. It is complete if the run is."""
    content = [TextContent(TextValue(text))]
    if run_status is RunStatus.COMPLETED:
        return msgspec.structs.replace(message, content=content, status="completed", completed_at=now, usage=usage)
    details = IncompleteDetails(_MESSAGE_REASON[run_status])
    return msgspec.structs.replace(
        message, content=content, status="incomplete", incomplete_details=details, incomplete_at=now, usage=usage
    )


def settle(run: Run, step: RunStep | None, message: ThreadMessage | None, now: int) -> Run:
    """The new state of an unfinished run whose worker is gone: ended, queued again, or waiting for its client.

    message: the run's answer, if it was stored; it decides how the run ended. Without one, nothing of the run was
    acknowledged, so it is executed again. It fails instead if a client has read part of its answer as a stream, or if
    it was begun MAX_ATTEMPTS times.
    """
    if run.status.is_terminal:
        return run
    if message is not None and run.status is not RunStatus.REQUIRES_ACTION:
        return _settle_by_message(run, message, now)
    if run.status is RunStatus.CANCELLING:
        return move_run(run, RunStatus.CANCELLED, now)
    if run.expires_at is not None and run.expires_at <= now:
        return move_run(run, RunStatus.EXPIRED, now)
    if run.status is not RunStatus.IN_PROGRESS:
        return run
    if run.attempts >= MAX_ATTEMPTS or (run.streamed and step is not None):
        return move_run(run, RunStatus.FAILED, now, last_error=INTERRUPTED)
    return move_run(run, RunStatus.QUEUED, now)


def settle_abandoned(run: Run, message: ThreadMessage | None, now: int) -> Run:
    """The end of an unfinished run without a marker, which was given up because its end could not be stored.

    Clients see this end. Every start finds the same one, because it depends on the files and not on the time.
    """
    if message is not None:
        return _settle_by_message(run, message, now)
    if run.status is RunStatus.CANCELLING:
        return move_run(run, RunStatus.CANCELLED, now)
    return move_run(run, RunStatus.FAILED, now, last_error=NOT_STORED)


def _settle_by_message(run: Run, message: ThreadMessage, now: int) -> Run:
    if message.status == "completed":
        return move_run(run, RunStatus.COMPLETED, now, usage=message.usage)
    reason = message.incomplete_details.reason if message.incomplete_details else "run_failed"
    status = _BY_MESSAGE_REASON.get(reason, RunStatus.FAILED)
    changes: dict[str, Any] = {"usage": message.usage}
    if status is RunStatus.FAILED:
        changes["last_error"] = INTERRUPTED
    if status is RunStatus.INCOMPLETE:
        changes["incomplete_details"] = IncompleteDetails("max_completion_tokens")
    return move_run(run, status, now, **changes)
