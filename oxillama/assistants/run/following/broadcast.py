"""A broadcast of a run's events that never waits for its subscribers, and that they can join at any event."""

from __future__ import annotations

import re
import secrets
from collections import deque
from typing import ClassVar

import trio

from oxillama.assistants.records import Run
from oxillama.assistants.run.events import RequiresAction, Restarted, RunEvent, is_last, joined

_CURSOR = re.compile(r"([0-9a-f]{8})-(\d{1,12})")


class Subscription(trio.abc.ReceiveChannel["RunEvent"]):
    """One subscriber's events, in order. Iteration ends when the run has ended, waits for its client, or its worker is
    gone.

    Nothing waits for a slow subscriber. When more than `LIMIT` events are unread, pieces of text are joined. Other
    events are few, so the text itself bounds the memory.

    cursor: the place behind the event that was received last, for `Broadcast.join`. at_end: the event before those that
    are unread ends a stream (`events.is_last`).
    """

    LIMIT: ClassVar[int] = 256

    def __init__(self, epoch: str, *, at_end: bool = False) -> None:
        self.at_end = at_end
        self._events: deque[tuple[int, RunEvent]] = deque()
        self._news = trio.Event()
        self._closed = False
        self._epoch = epoch
        self._number = 0

    @property
    def cursor(self) -> str:
        return f"{self._epoch}-{self._number}"

    def push(self, number: int, event: RunEvent) -> None:
        """Add the event with this number."""
        both = joined(self._events[-1][1], event) if len(self._events) >= self.LIMIT else None
        if both is not None:
            self._events[-1] = number, both
        else:
            self._events.append((number, event))
        self._news.set()

    def put_first(self, event: RunEvent) -> None:
        """Add an event that was not broadcast in front of the others."""
        self._events.appendleft((0, event))
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
        self._number, event = self._events.popleft()
        self.at_end = is_last(event)
        return event

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()


class Broadcast:
    """Hands the events of one run to all its subscribers, and keeps them for those that come later.

    Events are numbered from 1. A cursor names an event of this broadcast; a cursor of another one, from before a
    restart, says nothing here.
    """

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._events: list[RunEvent] = []
        self._subscriptions: list[Subscription] = []
        self._closed = False

    def __len__(self) -> int:
        """How many events there were."""
        return len(self._events)

    def subscribe(self, after: int = 0) -> Subscription:
        """The events behind number `after`, those that were and those that come."""
        at_end = 0 < after <= len(self._events) and is_last(self._events[after - 1])
        subscription = Subscription(self._epoch, at_end=at_end)
        for number, event in enumerate(self._events[after:], after + 1):
            subscription.push(number, event)
        if self._closed or (self._events and isinstance(self._events[-1], RequiresAction)):
            subscription.close()
        else:
            self._subscriptions.append(subscription)
        return subscription

    def join(self, run: Run, cursor: str | None) -> Subscription:
        """The events behind a cursor of an earlier subscription; None: all.

        If the cursor is not of this broadcast, all events follow a Restarted with `run`. Raises ValueError if it is
        no cursor.
        """
        found = None if cursor is None else _CURSOR.fullmatch(cursor)
        if cursor is not None and found is None:
            raise ValueError(f"{cursor[:40]!r} is no cursor")
        if found is not None and found[1] == self._epoch:
            return self.subscribe(min(int(found[2]), len(self._events)))
        subscription = self.subscribe()
        if found is not None:
            subscription.put_first(Restarted(run))
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def send(self, event: RunEvent) -> None:
        number = len(self._events) + 1
        self._events.append(event)
        for subscription in self._subscriptions:
            subscription.push(number, event)
        if isinstance(event, RequiresAction):
            self._end_subscriptions()

    def close(self) -> None:
        """No more events will come."""
        self._closed = True
        self._end_subscriptions()

    def _end_subscriptions(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions.clear()
