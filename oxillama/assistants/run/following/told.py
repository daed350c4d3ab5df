"""The events of a run as its stored objects tell them, for those who follow it after a restart or after its end."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from oxillama.assistants.records import (
    FunctionToolCall,
    Run,
    RunStatus,
    RunStep,
    RunStepStatus,
    TextContent,
    ThreadMessage,
    ToolCallsStepDetails,
)
from oxillama.assistants.run.events import (
    ArgumentsDelta,
    CallBegan,
    Created,
    InProgress,
    MessageCreated,
    MessageDelta,
    MessageEnded,
    MessageInProgress,
    Queued,
    RequiresAction,
    RunEvent,
    StepCreated,
    StepEnded,
    StepInProgress,
    ended,
)
from oxillama.assistants.store.store import Store
from oxillama.errors import ObjectNotFoundError, StoreDamagedError


def told(store: Store, run: Run) -> list[RunEvent]:
    """What is certain of a run: its steps that have ended, what it asks its client, and its end. Blocking.

    A step that is open is left out, because it will be told when the run goes on.
    """
    queued = msgspec.structs.replace(
        run,
        status=RunStatus.QUEUED,
        started_at=None,
        cancelled_at=None,
        failed_at=None,
        completed_at=None,
        required_action=None,
        last_error=None,
        incomplete_details=None,
        usage=None,
    )
    events: list[RunEvent] = [Created(queued), Queued(queued)]
    if run.started_at is not None:
        events.append(
            InProgress(msgspec.structs.replace(queued, status=RunStatus.IN_PROGRESS, started_at=run.started_at))
        )
    for step in store.steps.list(run.thread_id, run.id):
        if step.status.is_terminal or run.status is RunStatus.REQUIRES_ACTION:
            events += _of_step(store, step)
    if run.status is RunStatus.REQUIRES_ACTION:
        events.append(RequiresAction(run))
    elif run.status.is_terminal:
        events.append(ended(run))
    return events


def _of_step(store: Store, step: RunStep) -> Iterator[RunEvent]:
    begun = msgspec.structs.replace(
        step,
        status=RunStepStatus.IN_PROGRESS,
        step_details=step.step_details if step.message_id else ToolCallsStepDetails(),
        last_error=None,
        expired_at=None,
        cancelled_at=None,
        failed_at=None,
        completed_at=None,
        usage=None,
    )
    yield StepCreated(begun)
    yield StepInProgress(begun)
    message = _message(store, step)
    if message is not None:
        yield from _of_message(message)
    for at, call in enumerate(step.tool_calls):
        function = call.function if isinstance(call, FunctionToolCall) else None
        yield CallBegan(step.id, at, call.id, None if function is None else function.name)
        if function is not None and function.arguments:
            yield ArgumentsDelta(step.id, at, function.arguments)
    if step.status.is_terminal:
        yield StepEnded(step)


def _message(store: Store, step: RunStep) -> ThreadMessage | None:
    """The message that the step wrote; None if there is none, or if it was deleted since."""
    if step.message_id is None:
        return None
    try:
        return store.messages.get(step.thread_id, step.message_id)
    except (ObjectNotFoundError, StoreDamagedError):
        return None


def _of_message(message: ThreadMessage) -> Iterator[RunEvent]:
    begun = msgspec.structs.replace(
        message, content=[], status="in_progress", completed_at=None, incomplete_at=None, incomplete_details=None
    )
    yield MessageCreated(begun)
    yield MessageInProgress(begun)
    if text := message.text_content:
        texts = [part.text for part in message.content if isinstance(part, TextContent)]
        annotations = [one for text_part in texts for one in text_part.annotations]
        yield MessageDelta(message.id, text, True, tuple({"index": n, **one} for n, one in enumerate(annotations)))
    yield MessageEnded(message)
