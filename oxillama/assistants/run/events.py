"""The events of a run, and a broadcast that never waits for its subscribers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import trio

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
    """A step has begun; it names the message it will write."""


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
    """A piece of a message's text, as it was generated. `first`: none came before."""

    message_id: str
    text: str
    first: bool


RunEvent = (
    Created
    | Queued
    | InProgress
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


class Subscription(trio.abc.ReceiveChannel["RunEvent"]):
    """One subscriber's events, in order. Iteration ends when the run has ended or its worker is gone.

    Nothing waits for a slow subscriber. When more than `LIMIT` events are unread, pieces of text are joined. Other
    events are few, so the text itself bounds the memory.
    """

    LIMIT: ClassVar[int] = 256

    def __init__(self) -> None:
        self._events: deque[RunEvent] = deque()
        self._news = trio.Event()
        self._closed = False

    def push(self, event: RunEvent) -> None:
        last = self._events[-1] if len(self._events) >= self.LIMIT else None
        if isinstance(event, MessageDelta) and isinstance(last, MessageDelta) and last.message_id == event.message_id:
            self._events[-1] = MessageDelta(last.message_id, last.text + event.text, last.first)
        else:
            self._events.append(event)
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()

    async def receive(self) -> RunEvent:
        """The next event. Raises EndOfChannel after the last one; cancelling loses none."""
        await trio.lowlevel.checkpoint()
        while not self._events:
            if self._closed:
                raise trio.EndOfChannel
            self._news = trio.Event()
            await self._news.wait()
        return self._events.popleft()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()


class Broadcast:
    """Hands the events of one run to all its subscribers."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def subscribe(self) -> Subscription:
        subscription = Subscription()
        self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def send(self, event: RunEvent) -> None:
        for subscription in self._subscriptions:
            subscription.push(event)

    def close(self) -> None:
        """No more events will come."""
        for subscription in self._subscriptions:
            subscription.close()
