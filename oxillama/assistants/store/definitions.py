"""Assistants on disk: one file each.

    <data-dir>/assistants/<assistant_id>.json

Blocking, as the thread store is; raises what that raises.
"""

from __future__ import annotations

import logging
import posixpath
import threading
from typing import Any

import msgspec

from oxillama.assistants.records.types import Assistant
from oxillama.errors import ObjectNotFoundError, StoreDamagedError
from oxillama.storage.durable import Durable
from oxillama.storage.ids import is_id

_log = logging.getLogger(__name__)


class AssistantStore:
    """The assistants of one data directory, all of them in memory from the first use on. Threads may share it."""

    def __init__(self, data_dir: str, durable: Durable) -> None:
        self._durable = durable
        self._dir = posixpath.join(data_dir, "assistants")
        self._lock = threading.Lock()
        self._assistants: dict[str, Assistant] | None = None
        durable.make_dir(self._dir)

    def create(self, assistant: Assistant) -> Assistant:
        with self._lock:
            known = self._loaded()
            last = next(reversed(known.values()), None)
            if last is not None:
                created_at = max(assistant.created_at, last.created_at)
                assistant = msgspec.structs.replace(assistant, sequence=last.sequence + 1, created_at=created_at)
            self._durable.write_json(self._path(assistant.id), assistant)
            known[assistant.id] = assistant
            return assistant

    def get(self, assistant_id: str) -> Assistant:
        with self._lock:
            return self._get(assistant_id)

    def list(self) -> list[Assistant]:
        """All of them, oldest first; damaged ones are left out (and logged)."""
        with self._lock:
            return list(self._loaded().values())

    def update(self, assistant_id: str, **changes: Any) -> Assistant:
        """Replace fields; nothing is written where nothing changes."""
        with self._lock:
            old = self._get(assistant_id)
            assistant = msgspec.structs.replace(old, **changes)
            if assistant == old:
                return old
            self._durable.write_json(self._path(assistant_id), assistant)
            self._loaded()[assistant_id] = assistant
            return assistant

    def delete(self, assistant_id: str) -> None:
        with self._lock:
            if assistant_id not in self._loaded():
                self._read_checked(assistant_id)
            self._durable.remove_file(self._path(assistant_id))
            self._loaded().pop(assistant_id, None)

    def _get(self, assistant_id: str) -> Assistant:
        found = self._loaded().get(assistant_id)
        return found if found is not None else self._read_checked(assistant_id)  # damaged, and says so; or not there

    def _loaded(self) -> dict[str, Assistant]:
        if self._assistants is None:
            found: list[Assistant] = []
            for name in self._durable.list_dir(self._dir):
                try:
                    found.append(self._read(name.removesuffix(".json")))
                except StoreDamagedError as error:
                    _log.error("assistant left out: %s", error)
            found.sort(key=lambda assistant: (assistant.created_at, assistant.sequence))
            self._assistants = {assistant.id: assistant for assistant in found}
        return self._assistants

    def _read_checked(self, assistant_id: str) -> Assistant:
        if not is_id(assistant_id, "asst"):
            raise ObjectNotFoundError("assistant", assistant_id)
        try:
            return self._read(assistant_id)
        except FileNotFoundError:
            raise ObjectNotFoundError("assistant", assistant_id) from None

    def _read(self, assistant_id: str) -> Assistant:
        assistant = self._durable.read_json(self._path(assistant_id), Assistant)
        return msgspec.structs.replace(assistant, id=assistant_id)

    def _path(self, assistant_id: str) -> str:
        return posixpath.join(self._dir, f"{assistant_id}.json")
