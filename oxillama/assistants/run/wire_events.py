"""The names that run events have in the API's stream, and the objects they carry."""

from __future__ import annotations

from typing import Any

from oxillama.assistants.records.types import Thread
from oxillama.assistants.run import events as ev

_RUN_NAMES: dict[type, str] = {
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


def thread_created(thread: Thread) -> tuple[str, dict[str, Any]]:
    """The first event of a stream that also made its thread."""
    return "thread.created", thread.to_wire()


def is_last(event: ev.RunEvent) -> bool:
    """Whether a run's events end with this one."""
    return isinstance(event, (ev.Completed, ev.Incomplete, ev.Failed, ev.Cancelled, ev.Expired))


def named(event: ev.RunEvent) -> tuple[str, dict[str, Any]]:
    """An event's name and its data: the bare object."""
    match event:
        case ev.MessageDelta():
            return "thread.message.delta", _delta(event)
        case ev.StepCreated(step):
            return "thread.run.step.created", step.to_wire()
        case ev.StepInProgress(step):
            return "thread.run.step.in_progress", step.to_wire()
        case ev.StepEnded(step):
            return f"thread.run.step.{step.status}", step.to_wire()
        case ev.MessageCreated(message):
            return "thread.message.created", message.to_wire()
        case ev.MessageInProgress(message):
            return "thread.message.in_progress", message.to_wire()
        case ev.MessageEnded(message):
            return f"thread.message.{message.status}", message.to_wire()
        case _:
            return _RUN_NAMES[type(event)], event.run.to_wire()


def _delta(event: ev.MessageDelta) -> dict[str, Any]:
    text: dict[str, Any] = {"value": event.text}
    if event.first:
        text["annotations"] = []
    content = [{"index": 0, "type": "text", "text": text}]
    return {"id": event.message_id, "object": "thread.message.delta", "delta": {"content": content}}
