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

        def fill(directory: str) -> None:
            owned = [msgspec.structs.replace(message, thread_id=thread.id) for message in messages]
            self._layout.messages(directory).create(owned)

        self._layout.threads.create(thread, "runs", fill=fill)
        return thread

    def get(self, thread_id: str) -> Thread:
        with self._open.use(thread_id) as state:
            return state.thread

    def update(self, thread_id: str, **changes: Any) -> Thread:
        """Replace fields of a thread. Writes nothing if nothing changes."""
        with self._open.use(thread_id) as state:
            thread = msgspec.structs.replace(state.thread, **changes)
            if thread != state.thread:
                self._layout.threads.put(thread)
                state.thread = thread
            return thread

    def delete(self, thread_id: str) -> None:
        """Delete a thread with everything in it. The caller ends its run, if one is in progress."""
        with self._open.use(thread_id) as state:
            self._layout.threads.delete(thread_id)
            self._open.discard(state)

    def ids(self) -> list[str]:
        """The ids of all threads, in no particular order."""
        return self._layout.threads.ids()
