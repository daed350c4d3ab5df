"""A run's events as a stream: their names, and the objects they carry."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from oxillama.assistants.run import events as ev
from oxillama.errors import EngineClosedError
from oxillama.server.apis.messages.answer import MessageDeltaObject, MessageObject
from oxillama.server.apis.runs.answer import RunObject
from oxillama.server.apis.steps.answer import (
    FileSearchCallDelta,
    FunctionCallDelta,
    NoResults,
    RunStepDeltaObject,
    RunStepObject,
    StepFunctionDelta,
)
from oxillama.server.apis.threads.answer import ThreadObject
from oxillama.server.http import sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from oxillama.assistants.records import Thread
    from oxillama.assistants.run.following.broadcast import Subscription
    from oxillama.server.wire.answer import Answer

DONE = b"event: done\n" + sse.DONE

RESTARTED = "thread.run.restarted"
"""An event of ours, for somebody who joins a run again that has begun anew."""
_OF_RUN: dict[type, str] = {
    ev.Created: "thread.run.created",
    ev.Queued: "thread.run.queued",
    ev.InProgress: "thread.run.in_progress",
    ev.RequiresAction: "thread.run.requires_action",
    ev.Restarted: RESTARTED,
    ev.Cancelling: "thread.run.cancelling",
    ev.Completed: "thread.run.completed",
    ev.Incomplete: "thread.run.incomplete",
    ev.Failed: "thread.run.failed",
    ev.Cancelled: "thread.run.cancelled",
    ev.Expired: "thread.run.expired",
}
RUN_EVENTS: dict[str, type[Answer]] = {
    **dict.fromkeys((name for name in _OF_RUN.values() if name != RESTARTED), RunObject),
    "thread.run.step.created": RunStepObject,
    "thread.run.step.in_progress": RunStepObject,
    "thread.run.step.delta": RunStepDeltaObject,
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


def named(event: ev.RunEvent, *, content: bool = False) -> tuple[str, Answer]:
    """An event's name and its data: the bare object. content: with the texts that searches found."""
    match event:
        case ev.MessageDelta(message_id, text, first, annotations):
            delta = MessageDeltaObject.of(message_id, text, first=first, annotations=annotations)
            return "thread.message.delta", delta
        case ev.CallBegan(step_id, index, call_id, None):
            searching = FileSearchCallDelta(index=index, id=call_id, file_search=NoResults())
            return "thread.run.step.delta", RunStepDeltaObject.of(step_id, searching)
        case ev.CallBegan(step_id, index, call_id, name):
            function = StepFunctionDelta(name=name or "", arguments="", output=None)
            calling = FunctionCallDelta(index=index, id=call_id, function=function)
            return "thread.run.step.delta", RunStepDeltaObject.of(step_id, calling)
        case ev.ArgumentsDelta(step_id, index, text):
            calling = FunctionCallDelta(index=index, function=StepFunctionDelta(arguments=text))
            return "thread.run.step.delta", RunStepDeltaObject.of(step_id, calling)
        case ev.StepCreated(step):
            return "thread.run.step.created", RunStepObject.of(step, content=content)
        case ev.StepInProgress(step):
            return "thread.run.step.in_progress", RunStepObject.of(step, content=content)
        case ev.StepEnded(step):
            return f"thread.run.step.{step.status}", RunStepObject.of(step, content=content)
        case ev.MessageCreated(message):
            return "thread.message.created", MessageObject.of(message)
        case ev.MessageInProgress(message):
            return "thread.message.in_progress", MessageObject.of(message)
        case ev.MessageEnded(message):
            return f"thread.message.{message.status}", MessageObject.of(message)
        case _:
            return _OF_RUN[type(event)], RunObject.of(event.run)


async def run_events(
    subscription: Subscription, ping_interval: float, thread: Thread | None = None, *, content: bool = False
) -> AsyncGenerator[bytes, None]:
    """The stream of a run's events, up to its end or to its question to the client.

    thread: the thread, if it was created together with the run. content: with the texts that searches found. Before
    each event, a comment has its cursor, with which the run can be joined again behind it.

    Raises EngineClosedError if the run has not ended, because the server stops or cannot store the end. The next start
    takes the run up again.
    """
    def render(event: ev.RunEvent) -> bytes:
        name, data = named(event, content=content)
        return f": {subscription.cursor}\n".encode() + sse.event(data, name)

    if thread is not None:
        yield sse.event(ThreadObject.of(thread), THREAD_CREATED)
    async with aclosing(sse.with_pings(subscription, ping_interval, render)) as chunks:
        async for chunk in chunks:
            yield chunk
    if not subscription.at_end:
        raise EngineClosedError("The run has not ended; the server takes it up again when it is restarted.")
    yield DONE
