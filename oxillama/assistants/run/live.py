"""The runs that are queued, in progress or waiting for their client in this process, with their subscribers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from weakref import WeakValueDictionary

import trio

from oxillama.assistants.run.following.broadcast import Broadcast

KEPT = 64
KEPT_EVENTS = 16_384
"""How many runs that have ended, and events of them, are kept, so that a client that lost its stream gets the end."""


class LiveRun:
    """One run between its creation and its end."""

    def __init__(self, thread_id: str, run_id: str) -> None:
        self.thread_id = thread_id
        self.run_id = run_id
        self.broadcast = Broadcast()
        self.scope = trio.CancelScope()  # the worker waits and generates inside it
        self.cancel_requested = False
        self.given_back = False  # to the next start of the server
        self.begun = False  # has a slot
        self.submitted = trio.Event()  # the client has answered
        self.settled = trio.Event()  # has ended, or waits for its client
        self.ended = trio.Event()

    def cancel(self) -> None:
        """End the run as soon as possible, whether it waits or generates."""
        self.cancel_requested = True
        self.scope.cancel()

    def give_back(self) -> None:
        """Leave the run to the next start of the server."""
        self.given_back = True
        self.scope.cancel()


class LiveRuns:
    """All live runs, by id, in the order of their creation. Used only in the event loop's thread."""

    def __init__(self) -> None:
        self._runs: dict[str, LiveRun] = {}
        self._ended: OrderedDict[str, Broadcast] = OrderedDict()
        self._creating: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._runs)

    def creating(self, thread_id: str) -> trio.Lock:
        """Held while a run is stored and added, so that the runs of a thread have the same order here as in the store.

        In another order, a run would write while the store holds an older one active.
        """
        return self._creating.setdefault(thread_id, trio.Lock())

    def add(self, thread_id: str, run_id: str) -> LiveRun:
        live = self._runs[run_id] = LiveRun(thread_id, run_id)
        return live

    def get(self, run_id: str) -> LiveRun | None:
        return self._runs.get(run_id)

    def broadcast(self, run_id: str) -> Broadcast | None:
        """The events of a run that is live, or was lately."""
        live = self._runs.get(run_id)
        return self._ended.get(run_id) if live is None else live.broadcast

    def remove(self, live: LiveRun) -> None:
        """Forget a run that needs no more work. Its subscriptions end."""
        live.broadcast.close()
        live.settled.set()
        live.ended.set()
        self._runs.pop(live.run_id, None)
        self._ended[live.run_id] = live.broadcast
        while len(self._ended) > KEPT or sum(map(len, self._ended.values())) > KEPT_EVENTS:
            self._ended.popitem(last=False)

    def waiting(self) -> Iterator[LiveRun]:
        """The runs that have no slot yet."""
        return iter([live for live in self._runs.values() if not live.begun])

    def of_thread(self, thread_id: str) -> Iterator[LiveRun]:
        """The runs of a thread, oldest first."""
        return iter([live for live in self._runs.values() if live.thread_id == thread_id])

    async def turn(self, live: LiveRun) -> None:
        """Return when no older run of the thread is live."""
        for other in self.of_thread(live.thread_id):
            if other is live:
                return
            await other.ended.wait()
