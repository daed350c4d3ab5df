"""The messages of a thread, stored as a log of additions, changes and deletions."""

from __future__ import annotations

from typing import Any

import msgspec

from oxillama.assistants.records import ThreadMessage
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.assistants.store.state import ThreadState
from oxillama.errors import ObjectNotFoundError, StateConflictError


class MessageStore:
    """The messages of all threads of a data directory."""

    def __init__(self, threads: OpenThreads) -> None:
        self._open = threads

    def append(self, thread_id: str, message: ThreadMessage) -> ThreadMessage:
        """Add a message. While a run is active, only that run may. Adding the same id again changes nothing."""
        with self._open.use(thread_id) as state:
            active = state.active_run
            if active is not None and message.run_id != active.id:
                raise StateConflictError(f"Can't add messages to {thread_id} while a run {active.id} is active.")
            known = self._open.messages(state).get(message.id)
            return known if known is not None else self._open.append(state, message)

    def list(self, thread_id: str) -> list[ThreadMessage]:
        """All messages, oldest first."""
        with self._open.use(thread_id) as state:
            return list(self._open.messages(state).values())

    def get(self, thread_id: str, message_id: str) -> ThreadMessage:
        with self._open.use(thread_id) as state:
            return self._get(state, message_id)

    def update(self, thread_id: str, message_id: str, **changes: Any) -> ThreadMessage:
        """Replace fields of a message. Writes nothing if nothing changes."""
        with self._open.use(thread_id) as state:
            message = self._get(state, message_id)
            changed = msgspec.structs.replace(message, **changes)
            return message if changed == message else self._open.append(state, changed)

    def delete(self, thread_id: str, message_id: str) -> None:
        with self._open.use(thread_id) as state:
            message = self._get(state, message_id)
            self._open.append(state, msgspec.structs.replace(message, content=[], metadata={}, deleted=True))

    def _get(self, state: ThreadState, message_id: str) -> ThreadMessage:
        message = self._open.messages(state).get(message_id)
        if message is None:
            raise ObjectNotFoundError("message", message_id)
        return message
