"""Everything that the Assistants API stores in a data directory."""

from __future__ import annotations

import time
from collections.abc import Callable

from oxillama.assistants.records import Run
from oxillama.assistants.store.assistants import AssistantStore
from oxillama.assistants.store.layout import Layout
from oxillama.assistants.store.messages import MessageStore
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.assistants.store.recovery import recover
from oxillama.assistants.store.runs import RunStore
from oxillama.assistants.store.steps import StepStore
from oxillama.assistants.store.threads import ThreadStore
from oxillama.storage.durable import Durable

_CACHE_BYTES = 256 * 2**20


class Store:
    """One store per kind of object. Only one process may use a directory, from any number of its threads.

    clock: Unix seconds, for tests. cache_bytes: about how much memory is used to cache threads.
    """

    def __init__(
        self,
        data_dir: str,
        durable: Durable | None = None,
        *,
        clock: Callable[[], float] = time.time,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        layout = Layout(data_dir, Durable() if durable is None else durable)
        self._open = OpenThreads(layout, clock, cache_bytes)
        self.assistants = AssistantStore(layout)
        self.threads = ThreadStore(self._open)
        self.messages = MessageStore(self._open)
        self.runs = RunStore(self._open)
        self.steps = StepStore(self._open)

    def now(self) -> int:
        """Unix seconds."""
        return self._open.now()

    def recover(self) -> list[Run]:
        """Settle the runs that the last process left unfinished. Returns those to execute (again), oldest first."""
        return recover(self._open)
