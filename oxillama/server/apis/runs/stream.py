"""A run's events as a stream: their names, and the objects they carry."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from oxillama.assistants.run import events as ev
from oxillama.errors import EngineClosedError
from oxillama.server.apis.messages.answer import MessageDeltaObject, MessageObject
from oxillama.server.apis.runs.answer import RunObject
from oxillama.server.apis.steps.answer import RunStepObject
from oxillama.server.apis.threads.answer import ThreadObject
from oxillama.server.http import sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from oxillama.assistants.records import Thread
    from oxillama.server.wire.answer import Answer

DONE = b"event: done\n" + sse.DONE

_OF_RUN: dict[type, str] = {
    ev.Created: "thread.run.created",
    ev.Queued: "thread.run.queued",
    ev.InProgress: "thread.run.in_progress",
    ev.Cancelling: "thread.run.cancelling",
    ev.Completed: "thread.run.completed",
    ev.Incomplete: "thread.run.incomplete",
    ev.Failed: "thread.run.failed",
    ev.Cancelled: "thread.run.cancelled",
    ev.Expired: "thread.run.expired",
}
_LAST = (ev.Completed, ev.Incomplete, ev.Failed, ev.Cancelled, ev.Expired)
RUN_EVENTS: dict[str, type[Answer]] = {
    **dict.fromkeys(_OF_RUN.values(), RunObject),
    "thread.run.step.created": RunStepObject,
    "thread.run.step.in_progress": RunStepObject,
    "thread.run.step.completed": RunStepObject,
    "thread.run.step.failed": RunStepObject,
    "thread.run.step.cancelled": RunStepObject,
    "thread.run.step.expired": RunStepObject,
    "thread.message.created": MessageObject,
    "thread.message.in_progress": MessageObject,
    "thread.message.delta": MessageDeltaObject,
    "thread.message.completed": MessageObject,
    "thread.message.incomplete": MessageObject,
}
"""The data of a run's events, by event name."""
THREAD_CREATED = "thread.created"
FAILURE = "error"


def named(event: ev.RunEvent) -> tuple[str, Answer]:
    """An event's name and its data: the bare object."""
    match event:
        case ev.MessageDelta():
            return "thread.message.delta", MessageDeltaObject.of(event.message_id, event.text, first=event.first)
        case ev.StepCreated(step):
            return "thread.run.step.created", RunStepObject.of(step)
        case ev.StepInProgress(step):
            return "thread.run.step.in_progress", RunStepObject.of(step)
        case ev.StepEnded(step):
            return f"thread.run.step.{step.status}", RunStepObject.of(step)
        case ev.MessageCreated(message):
            return "thread.message.created", MessageObject.of(message)
        case ev.MessageInProgress(message):
            return "thread.message.in_progress", MessageObject.of(message)
        case ev.MessageEnded(message):
            return f"thread.message.{message.status}", MessageObject.of(message)
        case _:
            return _OF_RUN[type(event)], RunObject.of(event.run)


async def run_events(
    subscription: ev.Subscription, ping_interval: float, thread: Thread | None = None
) -> AsyncGenerator[bytes, None]:
    """The stream of a run's events, up to its end. thread: the thread, if it was created together with the run.

    Raises EngineClosedError if the run has not ended, because the server stops or cannot store the end. The next start
    takes the run up again.
    """
    ended = False

    def render(event: ev.RunEvent) -> bytes:
        nonlocal ended
        ended = isinstance(event, _LAST)
        name, data = named(event)
        return sse.event(data, name)

    if thread is not None:
        yield sse.event(ThreadObject.of(thread), THREAD_CREATED)
    async with aclosing(sse.with_pings(subscription, ping_interval, render)) as chunks:
        async for chunk in chunks:
            yield chunk
    if not ended:
        raise EngineClosedError("The run has not ended; the server takes it up again when it is restarted.")
    yield DONE
