"""The events of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oxillama.assistants.records import Run, RunStatus, RunStep, ThreadMessage


@dataclass(frozen=True, slots=True)
class _OfRun:
    run: Run


class Created(_OfRun):
    """The run is stored."""


class Queued(_OfRun):
    """The run waits for a worker."""


class InProgress(_OfRun):
    """A worker has begun the run."""


class RequiresAction(_OfRun):
    """The run waits for its client: `run.required_action`. Nothing follows before the client has answered."""


class Restarted(_OfRun):
    """For somebody who had followed the run: the events begin anew, for the earlier ones are not known any more."""


class Cancelling(_OfRun):
    """A client has asked to cancel the run."""


class Completed(_OfRun):
    """The run has ended with a complete answer."""


class Incomplete(_OfRun):
    """The run has ended because a token budget was used up."""


class Failed(_OfRun):
    """The run has ended with an error: `run.last_error`."""


class Cancelled(_OfRun):
    """The run has ended because a client cancelled it."""


class Expired(_OfRun):
    """The run has ended because its time was over."""


@dataclass(frozen=True, slots=True)
class _OfStep:
    step: RunStep


class StepCreated(_OfStep):
    """A step has begun. It names the message that it will write; if it calls tools, the calls follow."""


class StepInProgress(_OfStep):
    """Follows StepCreated."""


class StepEnded(_OfStep):
    """A step has ended: `step.status`."""


@dataclass(frozen=True, slots=True)
class _OfMessage:
    message: ThreadMessage


class MessageCreated(_OfMessage):
    """A message has begun, still empty. It is stored when it ends."""


class MessageInProgress(_OfMessage):
    """Follows MessageCreated."""


class MessageEnded(_OfMessage):
    """A message is stored, complete or not: `message.status`."""


@dataclass(frozen=True, slots=True)
class MessageDelta:
    """A piece of a message's text, as it was generated. `first`: none came before.

    annotations: those that are known by now and were not before, each with its `index` among all of the text.
    """

    message_id: str
    text: str
    first: bool
    annotations: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A step calls a tool. `index` counts its calls. name: of a function; None: the server searches."""

    step_id: str
    index: int
    call_id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """A piece of the arguments of a function, as it was generated."""

    step_id: str
    index: int
    text: str


RunEvent = (
    Created
    | Queued
    | InProgress
    | RequiresAction
    | Restarted
    | Cancelling
    | Completed
    | Incomplete
    | Failed
    | Cancelled
    | Expired
    | StepCreated
    | StepInProgress
    | StepEnded
    | MessageCreated
    | MessageInProgress
    | MessageEnded
    | MessageDelta
    | CallBegan
    | ArgumentsDelta
)

_ENDS: dict[RunStatus, Callable[[Run], RunEvent]] = {
    RunStatus.COMPLETED: Completed,
    RunStatus.INCOMPLETE: Incomplete,
    RunStatus.FAILED: Failed,
    RunStatus.CANCELLED: Cancelled,
    RunStatus.EXPIRED: Expired,
}


def ended(run: Run) -> RunEvent:
    """The event of a run's end."""
    return _ENDS[run.status](run)


def is_last(event: RunEvent) -> bool:
    """Whether a stream ends with the event: the run has ended, or only its client can continue it."""
    return isinstance(event, RequiresAction | Completed | Incomplete | Failed | Cancelled | Expired)


def joined(first: RunEvent, second: RunEvent) -> RunEvent | None:
    """Two pieces of the same text as one; None if they are not."""
    match first, second:
        case MessageDelta(), MessageDelta() if first.message_id == second.message_id:
            annotations = first.annotations + second.annotations
            return MessageDelta(first.message_id, first.text + second.text, first.first, annotations)
        case ArgumentsDelta(), ArgumentsDelta() if (first.step_id, first.index) == (second.step_id, second.index):
            return ArgumentsDelta(first.step_id, first.index, first.text + second.text)
    return None
