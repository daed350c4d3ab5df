"""Reads files that were added to vector stores, one after the other, and puts their passages into the index."""

from __future__ import annotations

import logging
import math
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from oxillama.errors import EngineClosedError, ObjectNotFoundError, OxillamaError, StoreDamagedError, StoreError
from oxillama.vector_stores.embedding import embeds, passage_vectors
from oxillama.vector_stores.extraction.errors import UnreadableError
from oxillama.vector_stores.extraction.process import extract
from oxillama.vector_stores.index import NoFullTextSearchError, Vectors, open_index, require_search
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
    _send: trio.MemorySendChannel[VectorStoreFile | tuple[str, str]] = field(init=False)
    _receive: trio.MemoryReceiveChannel[VectorStoreFile | tuple[str, str]] = field(init=False)
    _changed: trio.Event = field(init=False)
    _embedding: set[tuple[str, str]] = field(default_factory=set)
    """(vector store, file) that wait for vectors of the model."""

    def __post_init__(self) -> None:
        self._changed = trio.Event()
        self._send, self._receive = trio.open_memory_channel[VectorStoreFile | tuple[str, str]](math.inf)

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

    def embed(self, store_id: str, file_ids: Iterable[str]) -> None:
        """Compute the vectors of these files again soon, for another model. Meanwhile they are found by their words."""
        for file_id in file_ids:
            if (store_id, file_id) not in self._embedding:
                self._embedding.add((store_id, file_id))
                self._send.send_nowait((store_id, file_id))

    async def run(self) -> None:
        """Work until cancelled. What is left is found again by the next start."""
        async for file in self._receive:
            if isinstance(file, tuple):
                try:
                    await self._embed(*file)
                    self._embedding.discard(file)
                except EngineClosedError:
                    return
                except OxillamaError as error:  # it stays in `_embedding`: not before a restart
                    _log.warning("file of a vector store has no vectors: file_id %s, %s", file[1], error)
                continue
            while True:
                try:
                    await self._ingest(file)
                    break
                except EngineClosedError:
                    return
                except StoreError as error:
                    if await self.in_thread(self._is_gone, file):  # its vector store was deleted meanwhile
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
            require_search()
            name = (await self.in_thread(self.files.get, file.id)).filename
            found = await extract(
                await self.in_thread(self.files.descriptor, file.id),
                posixpath.basename(name)[-200:],
                file.chunking.size,
                file.chunking.overlap,
            )
            vectors = await self._vectors(file.id, [found.text[start:end] for start, end in found.chunks])
        except UnreadableError as error:
            await self._fail(file, FileError(error.code, str(error)))
        except ObjectNotFoundError:
            await self._fail(file, FileError("invalid_file", "The file was deleted."))
        except StoreDamagedError as error:  # trying again would not help, and other files wait
            _log.error("file of a vector store is damaged: file_id %s, %s", file.id, error)
            await self._fail(file, FileError("server_error", "The stored file is damaged."))
        except NoFullTextSearchError as error:
            await self._fail(file, FileError("server_error", str(error)))
        except (EngineClosedError, StoreError):
            raise
        except Exception as error:  # one file must not end the server
            _log.exception("file of a vector store could not be read: file_id %s", file.id)
            await self._fail(file, FileError("server_error", f"The file could not be read: {type(error).__name__}."))
        else:
            await self.in_thread(self._finish, file, found.text, found.chunks, vectors)

    async def _vectors(self, file_id: str, texts: Sequence[str]) -> Vectors | None:
        """The vectors of passages; None: the model gives none, and they are found by their words."""
        if not embeds(self.engine):
            return None
        try:
            return await passage_vectors(self.engine, texts, self.in_thread)
        except EngineClosedError:
            raise
        except OxillamaError as error:
            _log.warning("file of a vector store has no vectors: file_id %s, %s", file_id, error)
            return None

    async def _embed(self, store_id: str, file_id: str) -> None:
        """Give a file that was read the vectors of the model that is loaded now."""
        path = await self.in_thread(self.records.index_path, store_id)

        def passages() -> tuple[int, list[str]] | None:
            with open_index(path) as index:
                return index.texts(file_id)

        if (found := await self.in_thread(passages)) is None:
            return
        number, texts = found
        vectors = await self._vectors(file_id, texts)
        if vectors is None:
            return

        def put() -> None:
            with open_index(path) as index:
                index.put_vectors(number, vectors)

        await self.in_thread(put)

    def _current(self, file: VectorStoreFile) -> VectorStoreFile | None:
        """The file as it is stored now; None: it is not in progress any more, or its record is damaged."""
        try:
            now = self.records.file(file.vector_store_id, file.id)
        except (ObjectNotFoundError, StoreDamagedError):
            return None
        return now if now.status == "in_progress" else None

    def _is_gone(self, file: VectorStoreFile) -> bool:
        try:
            return self._current(file) is None
        except StoreError:  # what made the work fail may make this fail too
            return False

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
