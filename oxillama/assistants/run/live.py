"""The runs that are queued or in progress in this process, with their subscribers and cancel scopes."""

from __future__ import annotations

from collections.abc import Iterator

import trio

from oxillama.assistants.run.events import Broadcast


class LiveRun:
    """One run between its creation and its end."""

    def __init__(self, thread_id: str, run_id: str) -> None:
        self.thread_id = thread_id
        self.run_id = run_id
        self.broadcast = Broadcast()
        self.scope = trio.CancelScope()  # the worker waits and generates inside it
        self.cancel_requested = False
        self.begun = False  # has a slot

    def cancel(self) -> None:
        """End the run as soon as possible, whether it waits or generates."""
        self.cancel_requested = True
        self.scope.cancel()


class LiveRuns:
    """All live runs, by id. Used only in the event loop's thread."""

    def __init__(self) -> None:
        self._runs: dict[str, LiveRun] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, thread_id: str, run_id: str) -> LiveRun:
        live = self._runs[run_id] = LiveRun(thread_id, run_id)
        return live

    def get(self, run_id: str) -> LiveRun | None:
        return self._runs.get(run_id)

    def remove(self, live: LiveRun) -> None:
        """Forget a run that needs no more work. Its subscriptions end."""
        live.broadcast.close()
        self._runs.pop(live.run_id, None)

    def waiting(self) -> Iterator[LiveRun]:
        """The runs that have no slot yet."""
        return iter([live for live in self._runs.values() if not live.begun])

    def of_thread(self, thread_id: str) -> Iterator[LiveRun]:
        """The runs of a thread."""
        return iter([live for live in self._runs.values() if live.thread_id == thread_id])
