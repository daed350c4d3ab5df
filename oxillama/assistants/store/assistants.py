"""The assistants of a data directory."""

from __future__ import annotations

from typing import Any

import msgspec

from oxillama.assistants.records import Assistant
from oxillama.assistants.store.layout import Layout
from oxillama.storage.collection import Cut, Part


class AssistantStore:
    """All assistants. Safe to use from several threads."""

    def __init__(self, layout: Layout) -> None:
        self._database = layout.database
        self._assistants = layout.assistants

    def create(self, assistant: Assistant) -> Assistant:
        with self._database.change():
            assistant = self._assistants.following(assistant)
            self._assistants.put(assistant)
            return assistant

    def get(self, assistant_id: str) -> Assistant:
        return self._assistants.get(assistant_id)

    def list(self) -> list[Assistant]:
        """All assistants, oldest first. Damaged ones are left out and logged."""
        return self._assistants.list()

    def page(self, wanted: Cut) -> Part[Assistant]:
        """Part of the list, and whether there is more."""
        return self._assistants.cut(wanted)

    def update(self, assistant_id: str, **changes: Any) -> Assistant:
        """Replace fields of an assistant. Writes nothing if nothing changes."""
        with self._database.change():
            old = self._assistants.get(assistant_id)
            assistant = msgspec.structs.replace(old, **changes)
            if assistant != old:
                self._assistants.put(assistant)
            return assistant

    def delete(self, assistant_id: str) -> None:
        def delete() -> None:
            with self._database.change():
                self._assistants.require(assistant_id)
                self._assistants.delete(assistant_id)

        self._database.freeing(delete)

    def restore(self, assistant: Assistant) -> None:
        """Store an assistant of another place as it is, with its time. For imports."""
        self._assistants.put(assistant)
