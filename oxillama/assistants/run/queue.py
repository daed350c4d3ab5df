"""The bounded queue of runs, from the API to the worker."""

from __future__ import annotations

import math

import trio

from oxillama.assistants.run.live import LiveRun
from oxillama.errors import EngineBusyError


class _Places:
    """Counts the places that are reserved or that queued and running runs hold."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0


class RunQueueSender:
    """The queue's input. A place is reserved before a run is stored, so that a full queue refuses without a write."""

    def __init__(self, channel: trio.MemorySendChannel[LiveRun], places: _Places) -> None:
        self._channel = channel
        self._places = places

    def reserve(self) -> None:
        """Reserve a place for `send`, or for `release` to give back. Raises EngineBusyError when none is free."""
        if self._places.taken >= self._places.capacity:
            raise EngineBusyError("Too many runs are waiting; please try again shortly.", retry_after=5.0)
        self._places.taken += 1

    def release(self) -> None:
        """Give a reserved place back."""
        self._places.taken -= 1

    def send(self, run: LiveRun) -> None:
        """Queue a run whose place was reserved. Never waits."""
        self._channel.send_nowait(run)

    def resend(self, run: LiveRun) -> None:
        """Queue a run that was admitted before a restart. It gets a place even if none is free."""
        self._places.taken += 1
        self._channel.send_nowait(run)

    def close(self) -> None:
        """No more runs will come."""
        self._channel.close()


class RunQueueReceiver:
    """The queue's output: an async iterator of runs. Each must be reported `done`."""

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
        """Free the place of a run."""
        self._places.taken -= 1


def new_run_queue(capacity: int) -> tuple[RunQueueSender, RunQueueReceiver]:
    """A queue that holds at most `capacity` runs, including those in progress."""
    # The places bound the queue, not the channel, because `send` must not fail after a run is stored.
    sender, receiver = trio.open_memory_channel[LiveRun](math.inf)
    places = _Places(capacity)
    return RunQueueSender(sender, places), RunQueueReceiver(receiver, places)
