"""Vector stores of one data directory: what the server and the runs call."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import trio

from oxillama.concurrency import open_nursery
from oxillama.errors import ObjectNotFoundError, OxillamaError, StoreDamagedError, StoreError, StoreFullError
from oxillama.vector_stores.embedding import embeds, model_of, query_vector
from oxillama.vector_stores.index import (
    Found,
    NoFullTextSearchError,
    Ranked,
    discard_index,
    open_index,
    require_search,
)
from oxillama.vector_stores.ingestion import Ingestion
from oxillama.vector_stores.passages import DEFAULT_OPTIONS, Passage, Place, SearchOptions
from oxillama.vector_stores.ranking import DEPTH, fused
from oxillama.vector_stores.records import FileBatch, VectorStore, VectorStoreFile
from oxillama.vector_stores.store import VectorStoreRecords
from oxillama.vector_stores.terms import query_terms

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from oxillama.engine.api.protocol import EngineLike
    from oxillama.files.store import FileStore
    from oxillama.storage.data_dir import DataDir

_log = logging.getLogger(__name__)

SWEEP_INTERVAL_S = 600.0


class VectorStores:
    """Vector stores, their files and the search. `records` reads them; what changes files goes through this class.

    Methods of `records` block; call them through `in_thread`.
    """

    def __init__(self, data: DataDir, records: VectorStoreRecords, files: FileStore, engine: EngineLike) -> None:
        self.records = records
        self.in_thread = data.in_thread
        self._files = files
        self._engine = engine
        self.making_helpers = trio.Lock()
        """Held while a thread's vector store is looked for and made, so that only one is."""
        self._ingestion = Ingestion(records, files, engine, data.in_thread)

    async def create(self, store: VectorStore, files: Sequence[VectorStoreFile] = ()) -> VectorStore:
        """Store a new vector store, and begin to read its files. Raises ObjectNotFoundError for an unknown file."""
        store, added = await self.in_thread(self._create, store, files)
        self._ingestion.add(added)
        return store

    def _create(
        self, store: VectorStore, files: Sequence[VectorStoreFile]
    ) -> tuple[VectorStore, list[VectorStoreFile]]:
        self._require(files)
        store = self.records.create(store, files)
        return store, self.records.files(store.id)

    async def add(
        self, store_id: str, files: Sequence[VectorStoreFile], batch: FileBatch | None = None
    ) -> list[VectorStoreFile]:
        """Add files to a vector store, and begin to read them. Returns them as stored: in progress."""

        def stored() -> list[VectorStoreFile]:
            self.records.require_active(store_id)
            self._require(files)
            return self.records.add(store_id, files, batch)

        added = await self.in_thread(stored)
        self._ingestion.add(added)
        return added

    async def add_missing(self, store_id: str, file_ids: Sequence[str]) -> None:
        """Add those of these files that the vector store does not have yet."""
        known = set(await self.in_thread(self.records.file_ids, store_id))
        now = self.records.now()
        files = [VectorStoreFile(id=file_id, created_at=now) for file_id in file_ids if file_id not in known]
        if files:
            await self.add(store_id, files)

    async def remove(self, store_id: str, file_id: str) -> None:
        """Take a file out of a vector store. The file itself stays."""
        await self.in_thread(self._remove, store_id, file_id)

    async def forget_file(self, file_id: str) -> None:
        """Take a file that was deleted out of every vector store."""

        def forget() -> None:
            for store_id in self.records.holders(file_id):
                with contextlib.suppress(ObjectNotFoundError):
                    self._remove(store_id, file_id)

        await self.in_thread(forget)

    async def text(self, store_id: str, file_id: str) -> str:
        """The parsed text of a file; "" while there is none."""

        def read() -> str:
            file = self.records.file(store_id, file_id)
            if file.status != "completed":
                return ""
            with open_index(self.records.index_path(store_id)) as index:
                return index.text(file_id) or ""

        return await self.in_thread(read)

    async def search(
        self, vector_store_ids: Sequence[str], query: str, options: SearchOptions = DEFAULT_OPTIONS
    ) -> list[Passage]:
        """See `passages.FileSearch`."""
        vector = None
        for store_id in vector_store_ids:
            await self.in_thread(self.records.require_active, store_id)
        with trio.move_on_after(options.patience):
            await self._ingestion.wait(vector_store_ids)
        if embeds(self._engine):
            try:
                vector = await query_vector(self._engine, query)
            except OxillamaError as error:
                _log.warning("searching by words only: %s", error)
        found: list[Passage] = []
        for store_id in dict.fromkeys(vector_store_ids):
            passages, lost, wordy = await self.in_thread(self._search, store_id, query, vector, options)
            self._ingestion.add(lost)
            self._ingestion.embed(store_id, wordy)
            found += passages
        found.sort(key=lambda passage: -passage.score)
        once = {(passage.file_id, passage.place.start, passage.place.end): passage for passage in reversed(found)}
        return sorted(once.values(), key=lambda passage: -passage.score)[: options.max_num_results]

    def _search(
        self, store_id: str, query: str, vector: npt.NDArray[np.float32] | None, options: SearchOptions
    ) -> tuple[list[Passage], list[VectorStoreFile], set[str]]:
        """The passages of one vector store, files that its index has lost, and files without vectors of the model."""
        self.records.touch(store_id)
        completed = {file.id: file for file in self.records.files(store_id, "completed")}
        if not completed:
            return [], [], set()
        wanted = [
            file_id
            for file_id, file in completed.items()
            if options.filters is None or options.filters.accepts(file.attributes)
        ]
        most = max(DEPTH, 2 * options.max_num_results)
        try:
            with open_index(self.records.index_path(store_id)) as index:
                lost = self.records.restart(store_id, [*(completed.keys() - index.file_ids())])
                rankings: list[list[Ranked]] = []
                wordy: set[str] = set()
                if vector is not None:
                    wordy = index.without_vectors(model_of(self._engine)) & completed.keys()
                    rankings.append(index.by_vector(vector, model_of(self._engine), wanted, most))
                if options.ranker != "none" or not any(rankings):
                    rankings.append(index.by_words(query_terms(query), wanted, most))
                best = [(row, score) for row, score in fused(rankings) if score >= options.score_threshold]
                best = best[: options.max_num_results]
                rows = index.passages([row for row, _ in best])
        except StoreDamagedError as error:
            _log.error("index of a vector store is made again: %s", error)
            return [], self.records.restart(store_id, [*completed]), set()
        return [self._passage(store_id, rows[row], score, completed) for row, score in best if row in rows], lost, wordy

    def _passage(self, store_id: str, found: Found, score: float, files: dict[str, VectorStoreFile]) -> Passage:
        try:
            filename = self._files.get(found.file_id).filename
        except (ObjectNotFoundError, StoreDamagedError):  # the passage is sound all the same
            filename = ""
        return Passage(
            text=found.text,
            file_id=found.file_id,
            filename=filename,
            score=score,
            attributes=files[found.file_id].attributes,
            place=Place(found.number, found.start, found.end),
            vector_store_id=store_id,
        )

    def _require(self, files: Iterable[VectorStoreFile]) -> None:
        for file in files:
            self._files.get(file.id)

    def _remove(self, store_id: str, file_id: str) -> None:
        """First from the index: after a crash in between, the file is in the vector store and is read again."""
        self.records.file(store_id, file_id)
        path = self.records.index_path(store_id)
        try:
            with open_index(path) as index:
                index.remove(file_id)
        except (StoreFullError, StoreDamagedError):  # what is deleted must go, and the others can be read again
            discard_index(path)
        self.records.remove(store_id, file_id)

    def sweep(self) -> None:
        """Take files that no longer exist out of their vector stores, and drop the indexes of expired ones."""
        for store in self.records.all():
            try:
                if self.records.is_expired(store):
                    discard_index(self.records.index_path(store.id))
                    continue
                for file in self.records.files(store.id):
                    try:
                        self._files.get(file.id)
                    except ObjectNotFoundError:
                        self._remove(store.id, file.id)
                    except StoreDamagedError:  # it is there, and must not keep others from being swept
                        continue
            except ObjectNotFoundError:  # deleted meanwhile
                continue

    async def run(self) -> None:
        """Read files and sweep until cancelled."""
        try:
            require_search()
        except NoFullTextSearchError as error:
            _log.warning("files of vector stores will fail: %s", error)
        self._ingestion.add(await self.in_thread(self.records.unfinished))
        async with open_nursery() as nursery:
            nursery.start_soon(self._ingestion.run)
            while True:
                try:
                    await self.in_thread(self.sweep)
                except StoreError as error:
                    _log.warning("vector stores not swept: %s", error)
                await trio.sleep(SWEEP_INTERVAL_S)


@contextlib.asynccontextmanager
async def open_vector_stores(
    data: DataDir, files: FileStore, engine: EngineLike, *, clock: Callable[[], float] = time.time
) -> AsyncIterator[VectorStores]:
    """The vector stores of a data directory. Files that are in progress are read until the block is left.

    clock: Unix seconds. Raises StoreError if the directory cannot be written.
    """
    records = await data.in_thread(VectorStoreRecords, data.path, data.database, clock)
    await data.in_thread(records.clear)
    stores = VectorStores(data, records, files, engine)
    async with open_nursery() as nursery:
        nursery.start_soon(stores.run)
        try:
            yield stores
        finally:
            nursery.cancel_scope.cancel()
