"""Reads files that were added to vector stores, one after the other, and puts their passages into the index."""

from __future__ import annotations

import logging
import math
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from oxillama.errors import EngineClosedError, ObjectNotFoundError, OxillamaError, StoreError
from oxillama.vector_stores.embedding import embeds, passage_vectors
from oxillama.vector_stores.extraction.errors import UnreadableError
from oxillama.vector_stores.extraction.process import extract
from oxillama.vector_stores.index import Vectors, open_index
from oxillama.vector_stores.records import FileError, VectorStoreFile

if TYPE_CHECKING:
    from oxillama.concurrency import Offload
    from oxillama.engine.api.protocol import EngineLike
    from oxillama.files.store import FileStore
    from oxillama.vector_stores.store import VectorStoreRecords

_log = logging.getLogger(__name__)

RETRY_S = 30.0
"""After the disk refused to take what became of a file."""


@dataclass(slots=True)
class Ingestion:
    """The queue of files in progress, and what `run` needs. `queue` holds no more than the records do."""

    records: VectorStoreRecords
    files: FileStore
    engine: EngineLike
    in_thread: Offload
    _send: trio.MemorySendChannel[VectorStoreFile] = field(init=False)
    _receive: trio.MemoryReceiveChannel[VectorStoreFile] = field(init=False)
    _changed: trio.Event = field(init=False)

    def __post_init__(self) -> None:
        self._changed = trio.Event()
        self._send, self._receive = trio.open_memory_channel[VectorStoreFile](math.inf)

    async def wait(self, store_ids: Sequence[str]) -> None:
        """Wait until none of these vector stores has files in progress."""
        while True:
            changed = self._changed
            if not await self.in_thread(self.records.are_unfinished, store_ids):
                return
            await changed.wait()

    def add(self, files: Sequence[VectorStoreFile]) -> None:
        """Read these files soon. They are stored as in progress."""
        for file in files:
            self._send.send_nowait(file)

    async def run(self) -> None:
        """Work until cancelled. What is left is found again by the next start."""
        async for file in self._receive:
            while True:
                try:
                    await self._ingest(file)
                    break
                except EngineClosedError:
                    return
                except StoreError as error:
                    if await self.in_thread(self._current, file) is None:  # its vector store was deleted meanwhile
                        break
                    _log.warning("file of a vector store not ingested yet: file_id %s, %s", file.id, error)
                    await trio.sleep(RETRY_S)
            self._changed.set()
            self._changed = trio.Event()

    async def _ingest(self, added: VectorStoreFile) -> None:
        """Read one file. Doing it again, also after a crash, has the same result."""
        file = await self.in_thread(self._current, added)
        if file is None:
            return
        try:
            name = (await self.in_thread(self.files.get, file.id)).filename
            found = await extract(
                await self.in_thread(self.files.descriptor, file.id),
                posixpath.basename(name)[-200:],
                file.chunking.size,
                file.chunking.overlap,
            )
            vectors = None
            if embeds(self.engine):
                texts = [found.text[start:end] for start, end in found.chunks]
                vectors = await passage_vectors(self.engine, texts, self.in_thread)
        except UnreadableError as error:
            await self._fail(file, FileError(error.code, str(error)))
        except ObjectNotFoundError:
            await self._fail(file, FileError("invalid_file", "The file was deleted."))
        except (EngineClosedError, StoreError):
            raise
        except OxillamaError as error:
            await self._fail(file, FileError("server_error", str(error)))
        else:
            await self.in_thread(self._finish, file, found.text, found.chunks, vectors)

    def _current(self, file: VectorStoreFile) -> VectorStoreFile | None:
        """The file as it is stored now; None: it is not in progress any more."""
        try:
            now = self.records.file(file.vector_store_id, file.id)
        except ObjectNotFoundError:
            return None
        return now if now.status == "in_progress" else None

    async def _fail(self, file: VectorStoreFile, error: FileError) -> None:
        await self.in_thread(self.records.settle, file, status="failed", last_error=error)

    def _finish(self, file: VectorStoreFile, text: str, chunks: list[tuple[int, int]], vectors: Vectors | None) -> None:
        if self._current(file) is None:
            return
        path = self.records.index_path(file.vector_store_id)
        with open_index(path) as index:
            size = index.replace(file.id, text, chunks, vectors)
            if not self.records.settle(file, status="completed", usage_bytes=size):
                index.remove(file.id)
