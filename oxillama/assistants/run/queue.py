"""The bounded queue between those who create runs and the worker."""

from __future__ import annotations

import math

import trio

from oxillama.assistants.run.live import LiveRun
from oxillama.errors import EngineBusyError


class _Places:
    """How many runs are reserved, queued or at work."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0


class RunQueueSender:
    """The end that runs are put into. A place is reserved before a run is stored: a full queue costs nothing."""

    def __init__(self, channel: trio.MemorySendChannel[LiveRun], places: _Places) -> None:
        self._channel = channel
        self._places = places

    def reserve(self) -> None:
        """Take a place, to be used by `send` or given back by `release`. Raises EngineBusyError when there is none."""
        if self._places.taken >= self._places.capacity:
            raise EngineBusyError("Too many runs are waiting; please try again shortly.", retry_after=5.0)
        self._places.taken += 1

    def release(self) -> None:
        """Give a reserved place back."""
        self._places.taken -= 1

    def send(self, run: LiveRun) -> None:
        """Queue a run whose place was reserved; never waits."""
        self._channel.send_nowait(run)

    def resend(self, run: LiveRun) -> None:
        """Queue a run that was admitted before a restart: it has a right to its place."""
        self._places.taken += 1
        self._channel.send_nowait(run)

    def close(self) -> None:
        """No more runs will come."""
        self._channel.close()


class RunQueueReceiver:
    """The worker's end: an async iterator of runs. Each must be reported `done`."""

    def __init__(self, channel: trio.MemoryReceiveChannel[LiveRun], places: _Places) -> None:
        self._channel = channel
        self._places = places

    def __aiter__(self) -> RunQueueReceiver:
        return self

    async def __anext__(self) -> LiveRun:
        try:
            return await self._channel.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def done(self) -> None:
        """A run has ended: its place is free."""
        self._places.taken -= 1


def new_run_queue(capacity: int) -> tuple[RunQueueSender, RunQueueReceiver]:
    """A queue that holds at most `capacity` runs, those at work included."""
    # The channel itself is not what bounds it: `send` must not fail once a run is stored.
    sender, receiver = trio.open_memory_channel[LiveRun](math.inf)
    places = _Places(capacity)
    return RunQueueSender(sender, places), RunQueueReceiver(receiver, places)
