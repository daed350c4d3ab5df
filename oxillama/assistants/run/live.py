"""The runs that this process is going to end: who watches them, and how they are cancelled."""

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
        """End it as soon as possible, wherever it is."""
        self.cancel_requested = True
        self.scope.cancel()


class LiveRuns:
    """All of them, by id. Belongs to the event loop's thread."""

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
        """Its end is known: watchers are told that no more will come."""
        live.broadcast.close()
        self._runs.pop(live.run_id, None)

    def waiting(self) -> Iterator[LiveRun]:
        """Those without a slot yet."""
        return iter([live for live in self._runs.values() if not live.begun])

    def of_thread(self, thread_id: str) -> Iterator[LiveRun]:
        return iter([live for live in self._runs.values() if live.thread_id == thread_id])
