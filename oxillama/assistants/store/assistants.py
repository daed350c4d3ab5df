"""The assistants of a data directory."""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from oxillama.assistants.records import Assistant
from oxillama.assistants.store.layout import Layout


class AssistantStore:
    """All assistants. They are read on first use and kept in memory. Safe to use from several threads."""

    def __init__(self, layout: Layout) -> None:
        self._files = layout.assistants
        self._lock = threading.Lock()
        self._assistants: dict[str, Assistant] | None = None

    def create(self, assistant: Assistant) -> Assistant:
        with self._lock:
            known = self._loaded()
            assistant = assistant.following(next(reversed(known.values()), None))
            self._files.put(assistant)
            known[assistant.id] = assistant
            return assistant

    def get(self, assistant_id: str) -> Assistant:
        with self._lock:
            return self._get(assistant_id)

    def list(self) -> list[Assistant]:
        """All assistants, oldest first. Damaged ones are left out and logged."""
        with self._lock:
            return list(self._loaded().values())

    def update(self, assistant_id: str, **changes: Any) -> Assistant:
        """Replace fields of an assistant. Writes nothing if nothing changes."""
        with self._lock:
            old = self._get(assistant_id)
            assistant = msgspec.structs.replace(old, **changes)
            if assistant == old:
                return old
            self._files.put(assistant)
            self._loaded()[assistant_id] = assistant
            return assistant

    def delete(self, assistant_id: str) -> None:
        with self._lock:
            self._get(assistant_id)
            self._files.delete(assistant_id)
            self._loaded().pop(assistant_id, None)

    def _get(self, assistant_id: str) -> Assistant:
        found = self._loaded().get(assistant_id)
        return found if found is not None else self._files.get(assistant_id)  # raises: damaged or missing

    def _loaded(self) -> dict[str, Assistant]:
        if self._assistants is None:
            self._assistants = {assistant.id: assistant for assistant in self._files.list()}
        return self._assistants

    def restore(self, assistant: Assistant) -> None:
        """Store an assistant of another place as it is, with its time. For imports, before anything is listed."""
        with self._lock:
            self._files.put(assistant)
            self._assistants = None
