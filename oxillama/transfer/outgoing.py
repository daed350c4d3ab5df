"""Out of a data directory into lines of JSON, in the form in which the API answers objects."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any, BinaryIO

import msgspec

from oxillama.errors import ObjectNotFoundError
from oxillama.server.apis.assistants.answer import AssistantObject
from oxillama.server.apis.files.answer import FileObject
from oxillama.server.apis.messages.answer import MessageObject
from oxillama.server.apis.threads.answer import ThreadObject
from oxillama.server.apis.vector_store_files.answer import VectorStoreFileObject
from oxillama.server.apis.vector_stores.answer import VectorStoreObject
from oxillama.transfer.opened import Opened

_encode = msgspec.json.Encoder().encode


class Export:
    """done: how many objects of each kind were written."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.done: Counter[str] = Counter()

    def write(self, data: Opened) -> None:
        """Write everything, oldest first; the messages of a thread and the files of a vector store follow it.

        Blocking. Raises StoreError, OSError.
        """
        store, files = data.store, data.files
        for assistant in store.assistants.list():
            self._line("assistants", AssistantObject.of(assistant))
        for file in files.list():
            try:
                parts = files.parts(file.id)
                self._line("files", FileObject.of(file))
                for part in parts:
                    text = base64.b64encode(part).decode()
                    self._line(None, {"object": "file.content", "file_id": file.id, "data": text})
            except ObjectNotFoundError:  # it has expired meanwhile
                continue
        for vector_store in data.vector_stores.all():
            self._line("vector stores", VectorStoreObject.of(vector_store, data.vector_stores))
            for member in data.vector_stores.files(vector_store.id):
                self._line(None, VectorStoreFileObject.of(member))
        for thread_id in store.threads.ids():
            self._line("threads", ThreadObject.of(store.threads.get(thread_id)))
            for message in store.messages.list(thread_id):
                self._line("messages", MessageObject.of(message))

    def _line(self, kind: str | None, value: Any) -> None:
        self._out.write(_encode(value) + b"\n")
        if kind is not None:
            self.done[kind] += 1
