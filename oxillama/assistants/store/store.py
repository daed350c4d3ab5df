"""Everything that the Assistants API stores in a data directory."""

from __future__ import annotations

import time
from collections.abc import Callable

from oxillama.assistants.records import Run, Thread, ThreadMessage
from oxillama.assistants.store.assistants import AssistantStore
from oxillama.assistants.store.earlier import take_over
from oxillama.assistants.store.layout import Layout
from oxillama.assistants.store.messages import MessageStore
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.assistants.store.recovery import recover
from oxillama.assistants.store.runs import RunStore
from oxillama.assistants.store.steps import StepStore
from oxillama.assistants.store.threads import ThreadStore
from oxillama.storage.database import Database


class Store:
    """One store per kind of object. May be used from any number of threads.

    The first one on the directory of an earlier version takes that version's data over.

    clock: Unix seconds, for tests.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        layout = Layout(database)
        self._database = database
        self._open = OpenThreads(layout, clock)
        take_over(self._open)
        self.assistants = AssistantStore(layout)
        self.threads = ThreadStore(self._open)
        self.messages = MessageStore(self._open)
        self.runs = RunStore(self._open)
        self.steps = StepStore(self._open)

    def now(self) -> int:
        """Unix seconds."""
        return self._open.now()

    def create_thread_and_run(self, thread: Thread, messages: list[ThreadMessage], run: Run) -> Run:
        """Store a new thread with its messages and a run on it, all or nothing."""
        with self._database.change():
            self.threads.create(thread, messages)
            return self.runs.create(run)

    def recover(self) -> list[Run]:
        """Settle the runs that the last process left unfinished. Returns those to execute (again), oldest first."""
        return recover(self._open)
