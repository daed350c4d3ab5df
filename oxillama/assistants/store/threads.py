"""Threads as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from oxillama.assistants.records import Thread, ThreadMessage
from oxillama.assistants.store.open_threads import OpenThreads


class ThreadStore:
    """The threads of a data directory."""

    def __init__(self, threads: OpenThreads) -> None:
        self._open = threads
        self._layout = threads.layout

    def create(self, thread: Thread, messages: Sequence[ThreadMessage] = ()) -> Thread:
        """Store a new thread with its first messages, all of it or nothing."""
        owned = [msgspec.structs.replace(message, thread_id=thread.id) for message in messages]
        with self._layout.database.change():
            self._layout.threads.put(thread)
            self._layout.messages(thread.id).put_all(owned)
        return thread

    def get(self, thread_id: str) -> Thread:
        return self._layout.threads.get(thread_id)

    def update(self, thread_id: str, **changes: Any) -> Thread:
        """Replace fields of a thread. Writes nothing if nothing changes."""
        with self._open.use(thread_id) as state:
            thread = msgspec.structs.replace(state.thread, **changes)
            if thread != state.thread:
                self._layout.threads.put(thread)
            return thread

    def delete(self, thread_id: str) -> None:
        """Delete a thread with everything in it. The caller ends its run, if one is in progress."""

        def delete() -> None:
            with self._layout.database.change():
                self._layout.threads.require(thread_id)
                runs = self._layout.runs(thread_id)
                for run_id in runs.ids():
                    self._layout.steps(thread_id, run_id).clear()
                runs.clear()
                self._layout.messages(thread_id).clear()
                self._layout.threads.delete(thread_id)

        self._layout.database.freeing(delete)

    def ids(self) -> Sequence[str]:
        """The ids of all threads, oldest first."""
        return self._layout.threads.ids()
