"""Status changes of runs, steps and messages, and what a restart does with an unfinished run. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from oxillama.assistants.records import (
    CachedPromptTokens,
    FunctionToolCall,
    IncompleteDetails,
    Run,
    RunError,
    RunStatus,
    RunStep,
    RunStepStatus,
    StepFunction,
    StepToolCall,
    TextContent,
    TextValue,
    ThreadMessage,
    TokenUsage,
)
from oxillama.errors import StateConflictError

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
    if status is not RunStatus.REQUIRES_ACTION:
        changes["required_action"] = None
    if status is RunStatus.EXPIRED:
        changes.setdefault("last_error", EXPIRED)
    return msgspec.structs.replace(run, status=status, **changes)


def move_step(step: RunStep, status: RunStepStatus, now: int, **changes: Any) -> RunStep:
    """The step with another status and the time that belongs to it."""
    if status.is_terminal:
        changes[f"{status.value}_at"] = now
        changes["expires_at"] = None
    return msgspec.structs.replace(step, status=status, **changes)


def require_beginning(run: Run) -> None:
    """Raise StateConflictError if a worker must not begin the run: it has ended or is being cancelled."""
    if run.status.is_terminal:
        raise StateConflictError(f"Run {run.id} has ended with status '{run.status}'.")
    if run.status is RunStatus.CANCELLING:
        raise StateConflictError(f"Run {run.id} is being cancelled.")


def step_status(run_status: RunStatus, step: RunStep) -> RunStepStatus:
    """The status of a run's open step after the run ended with `run_status`.

    Where a budget cuts off a message, its step is complete all the same; calls that were cut off are not.
    """
    if run_status is RunStatus.INCOMPLETE and step.type == "tool_calls":
        return RunStepStatus.FAILED
    return _STEP_STATUS[run_status]


# -- tools -------------------------------------------------------------------------------------------------------------


def required_action(calls: Iterable[StepToolCall]) -> dict[str, Any]:
    """What a run that waits for its client asks for: the outputs of the functions among these calls."""
    functions = [call for call in calls if isinstance(call, FunctionToolCall)]
    asked = [
        {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
        for c in functions
    ]
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": asked}}


def submitted(step: RunStep, outputs: Sequence[tuple[str, str]], now: int) -> RunStep:
    """The step of a run that waits for its client, completed by the outputs (call id, text) of its functions.

    Raises StateConflictError if there is not exactly one output for each call.
    """
    expected = [call.id for call in step.tool_calls if isinstance(call, FunctionToolCall)]
    got = [call_id for call_id, _ in outputs]
    if sorted(got) != sorted(expected):
        raise StateConflictError(f"Expected tool outputs for call_ids {expected}, got {got}")
    texts = dict(outputs)
    calls = [
        FunctionToolCall(call.id, StepFunction(call.function.name, call.function.arguments, texts[call.id]))
        if isinstance(call, FunctionToolCall)
        else call
        for call in step.tool_calls
    ]
    return move_step(step.with_calls(calls), RunStepStatus.COMPLETED, now)


def require_waiting(run: Run) -> None:
    """Raise StateConflictError if the run does not wait for its client."""
    if run.status is not RunStatus.REQUIRES_ACTION:
        raise StateConflictError(f'Runs in status "{run.status}" do not accept tool outputs.')


# -- usage -------------------------------------------------------------------------------------------------------------


def total_usage(parts: Iterable[TokenUsage | None]) -> TokenUsage | None:
    """The sum; None if there is nothing to add."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    return TokenUsage(
        sum(part.prompt_tokens for part in known),
        sum(part.completion_tokens for part in known),
        sum(part.total_tokens for part in known),
        CachedPromptTokens(sum(part.prompt_tokens_details.cached_tokens for part in known)),
    )


def rest_of_usage(total: TokenUsage | None, parts: Iterable[TokenUsage | None]) -> TokenUsage | None:
    """What is left of a run's usage for its last step. parts: the usage of the other steps."""
    known = total_usage(parts)
    if total is None or known is None:
        return total
    return TokenUsage(
        total.prompt_tokens - known.prompt_tokens,
        total.completion_tokens - known.completion_tokens,
        total.total_tokens - known.total_tokens,
        CachedPromptTokens(total.prompt_tokens_details.cached_tokens - known.prompt_tokens_details.cached_tokens),
    )


# -- messages and restarts ---------------------------------------------------------------------------------------------


def end_message(
    message: ThreadMessage,
    text: str,
    run_status: RunStatus,
    now: int,
    usage: TokenUsage | None,
    annotations: Sequence[dict[str, Any]] = (),
) -> ThreadMessage:
    """The message with the generated text, as it is stored. It is complete if the run is."""
    content = [TextContent(TextValue(text, list(annotations)))]
    if run_status is RunStatus.COMPLETED:
        return msgspec.structs.replace(message, content=content, status="completed", completed_at=now, usage=usage)
    details = IncompleteDetails(_MESSAGE_REASON[run_status])
    return msgspec.structs.replace(
        message, content=content, status="incomplete", incomplete_details=details, incomplete_at=now, usage=usage
    )


def settle(run: Run, message: ThreadMessage | None, now: int) -> Run:
    """The new state of an unfinished run whose worker is gone: ended, queued again, or waiting for its client.

    message: the run's answer, if it was stored; it decides how the run ended. Without one, the run goes on behind its
    last completed step. It fails instead if it was begun MAX_ATTEMPTS times. Only the time since its work began counts
    towards its expiry.
    """
    if run.status.is_terminal:
        return run
    if message is not None and run.status is not RunStatus.REQUIRES_ACTION:
        return _settle_by_message(run, message, now)
    if run.status is RunStatus.CANCELLING:
        return move_run(run, RunStatus.CANCELLED, now)
    if run.has_begun and run.expires_at is not None and run.expires_at <= now:
        return move_run(run, RunStatus.EXPIRED, now)
    if run.status is not RunStatus.IN_PROGRESS:
        return run
    if run.attempts >= MAX_ATTEMPTS:
        return move_run(run, RunStatus.FAILED, now, last_error=INTERRUPTED)
    return move_run(run, RunStatus.QUEUED, now)


def settle_abandoned(run: Run, message: ThreadMessage | None, now: int) -> Run:
    """The end of an unfinished run that is given up, because its end cannot be stored as usual.

    Clients see this end. Trying again finds the same one, because it depends on what is stored and not on the time.
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
