"""The messages of a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from oxillama.assistants.records import ThreadMessage
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.errors import StateConflictError
from oxillama.storage.collection import Cut, Part


class MessageStore:
    """The messages of all threads of a data directory."""

    def __init__(self, threads: OpenThreads) -> None:
        self._open = threads
        self._layout = threads.layout

    def append(self, thread_id: str, message: ThreadMessage) -> ThreadMessage:
        """Add a message. While a run is active, only that run may. Adding the same id again changes nothing."""
        with self._open.use(thread_id) as state:
            active = state.active_run
            if active is not None and message.run_id != active.id:
                raise StateConflictError(f"Can't add messages to {thread_id} while a run {active.id} is active.")
            known = self._layout.messages(thread_id).find(message.id)
            return known if known is not None else self._open.append(state, message)

    def list(self, thread_id: str) -> list[ThreadMessage]:
        """All messages, oldest first. A damaged one raises StoreDamagedError: a prompt without it would mislead."""
        with self._open.look(thread_id):
            return [*self._layout.messages(thread_id).whole()]

    def for_prompt(self, thread_id: str, run_id: str, most: int) -> Sequence[ThreadMessage]:
        """The first message and the `most` newest, oldest first, without those that the run wrote.

        A prompt needs no others, and a thread may have any number. A damaged one raises StoreDamagedError.
        """
        with self._open.look(thread_id):
            messages = self._layout.messages(thread_id)
            written = len(messages.whole(run_id))
            newest, more = messages.cut(Cut(most + written))
            first = messages.cut(Cut(1, "asc"))[0] if more else ()
            return [message for message in (*first, *reversed(newest)) if message.run_id != run_id]

    def page(self, thread_id: str, wanted: Cut) -> Part[ThreadMessage]:
        """Part of the list, and whether there is more. The tag is a run's id."""
        with self._open.look(thread_id):
            return self._layout.messages(thread_id).cut(wanted)

    def get(self, thread_id: str, message_id: str) -> ThreadMessage:
        with self._open.look(thread_id):
            return self._layout.messages(thread_id).get(message_id)

    def update(self, thread_id: str, message_id: str, **changes: Any) -> ThreadMessage:
        """Replace fields of a message. Writes nothing if nothing changes."""
        with self._open.use(thread_id):
            messages = self._layout.messages(thread_id)
            message = messages.get(message_id)
            changed = msgspec.structs.replace(message, **changes)
            if changed != message:
                messages.put(changed)
            return changed

    def delete(self, thread_id: str, message_id: str) -> None:
        def delete() -> None:
            with self._open.use(thread_id):
                messages = self._layout.messages(thread_id)
                messages.require(message_id)
                messages.delete(message_id)

        self._layout.database.freeing(delete)
