"""Vector stores of a data directory, without their indexes.

    <data-dir>/vector_stores/<vector_store_id>/store.json
                                               files/<file_id>.json
                                               batches/<batch_id>.json
                                               index.db               see `index`
    <data-dir>/ingesting/<vector_store_id>.json    names a vector store that has files in progress

A marker in `ingesting` is written before the first file in progress and removed after the last one, so a start looks at
the marked vector stores only.
"""

from __future__ import annotations

import posixpath
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from oxillama.errors import ObjectNotFoundError, StateConflictError
from oxillama.storage.collection import Collection, DirectoryCollection
from oxillama.storage.durable import Durable
from oxillama.vector_stores.records import FileBatch, FileCounts, Unfinished, VectorStore, VectorStoreFile, counted

KIND = "vector store"
ACTIVE_STEP_S = 60
"""Seconds after which another use of a vector store is noted."""
_OPEN = 64
"""Vector stores whose files' records are kept in memory."""


@dataclass(slots=True)
class _Content:
    """The files and batches of one vector store, oldest first."""

    files: dict[str, VectorStoreFile]
    batches: dict[str, FileBatch]


class VectorStoreRecords:
    """Records of vector stores, their files and batches. Safe to use from several threads.

    All methods block and raise what `Durable` raises; ObjectNotFoundError for an unknown id. clock: Unix seconds.
    """

    def __init__(self, directory: str, durable: Durable, clock: Callable[[], float]) -> None:
        self._durable = durable
        self._clock = clock
        self._stores = DirectoryCollection(
            durable,
            posixpath.join(directory, "vector_stores"),
            VectorStore,
            head="store.json",
            prefix="vs",
            noun=KIND,
        )
        self._markers = Collection(
            durable, posixpath.join(directory, "ingesting"), Unfinished, prefix="vs", noun="marker"
        )
        durable.make_dir(self._stores.directory)
        durable.make_dir(self._markers.directory)
        self._lock = threading.RLock()
        self._known: dict[str, VectorStore] | None = None
        self._contents: OrderedDict[str, _Content] = OrderedDict()
        self._marked = set(self._markers.ids())

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    def clear(self) -> None:
        """Remove what a crash left behind. For the start, before anything else."""
        self._stores.clear()
        self._markers.clear()

    def index_path(self, store_id: str) -> str:
        """Where the index of a vector store is."""
        return posixpath.join(self._stores.dir(store_id), "index.db")

    # -- vector stores ---------------------------------------------------------------------------------------------

    def create(self, store: VectorStore, files: Sequence[VectorStoreFile] = ()) -> VectorStore:
        """Store a new one, with files in progress."""
        with self._lock:
            known = self._loaded()
            store = store.following(next(reversed(known.values()), None))
            if files:
                self._mark(store.id)
            ordered = _following(files, store.id, None)

            def fill(hidden: str) -> None:
                for file in ordered:
                    self._durable.write_new_json(posixpath.join(hidden, "files", f"{file.id}.json"), file)
                self._durable.sync_dir(posixpath.join(hidden, "files"))

            self._stores.create(store, "files", "batches", fill=fill)
            known[store.id] = store
            return store

    def get(self, store_id: str) -> VectorStore:
        """One vector store."""
        with self._lock:
            found = self._loaded().get(store_id)
            return self._stores.get(store_id) if found is None else found

    def all(self) -> list[VectorStore]:
        """All, oldest first."""
        with self._lock:
            return list(self._loaded().values())

    def update(self, store_id: str, **changes: Any) -> VectorStore:
        """Change fields of a vector store."""
        with self._lock:
            store = msgspec.structs.replace(self.get(store_id), **changes)
            self._stores.put(store)
            self._loaded()[store_id] = store
            return store

    def touch(self, store_id: str) -> VectorStore:
        """Note that a vector store is used."""
        with self._lock:
            store, now = self.get(store_id), self.now()
            return store if now < store.last_active_at + ACTIVE_STEP_S else self.update(store_id, last_active_at=now)

    def delete(self, store_id: str) -> None:
        """Delete a vector store with its index. Its files stay."""
        with self._lock:
            self.get(store_id)
            self._stores.delete(store_id)
            self._loaded().pop(store_id, None)
            self._contents.pop(store_id, None)
            self._unmark(store_id)

    def is_expired(self, store: VectorStore) -> bool:
        """Whether the vector store's time is over."""
        return store.expires_at is not None and store.expires_at <= self.now()

    def require_active(self, store_id: str) -> VectorStore:
        """One vector store. Raises StateConflictError if it has expired."""
        store = self.get(store_id)
        if self.is_expired(store):
            raise StateConflictError(f"Vector store {store_id} is expired.")
        return store

    # -- files -----------------------------------------------------------------------------------------------------

    def files(self, store_id: str) -> list[VectorStoreFile]:
        """The files of a vector store, oldest first."""
        with self._lock:
            return list(self._content(store_id).files.values())

    def counts(self, store_id: str) -> tuple[FileCounts, int]:
        """How many files have each status, and the bytes that they use."""
        files = self.files(store_id)
        return counted(files), sum(file.usage_bytes for file in files)

    def file(self, store_id: str, file_id: str) -> VectorStoreFile:
        """One file of a vector store."""
        with self._lock:
            found = self._content(store_id).files.get(file_id)
            if found is None:
                raise ObjectNotFoundError("file", file_id)
            return found

    def add(
        self, store_id: str, files: Sequence[VectorStoreFile], batch: FileBatch | None = None
    ) -> list[VectorStoreFile]:
        """Add files in progress, and the batch that they came in. A file that is there already is replaced."""
        with self._lock:
            self.require_active(store_id)
            content = self._content(store_id)
            if files:
                self._mark(store_id)
            if batch is not None:
                self._batches(store_id).put(batch)
                content.batches[batch.id] = batch
            collection = self._files(store_id)
            added = _following(files, store_id, next(reversed(content.files.values()), None))
            for file in added:
                collection.put(file)
                content.files.pop(file.id, None)
                content.files[file.id] = file
            self.update(store_id, last_active_at=self.now())
            return added

    def change(self, store_id: str, file_id: str, **changes: Any) -> VectorStoreFile:
        """Change fields of a file."""
        with self._lock:
            file = msgspec.structs.replace(self.file(store_id, file_id), **changes)
            self._files(store_id).put(file)
            self._content(store_id).files[file_id] = file
            return file

    def settle(self, before: VectorStoreFile, **changes: Any) -> bool:
        """End the progress of a file. False: meanwhile it was removed, replaced or cancelled."""
        with self._lock:
            try:
                now = self.file(before.vector_store_id, before.id)
            except ObjectNotFoundError:
                return False
            if (now.place, now.chunking, now.status) != (before.place, before.chunking, "in_progress"):
                return False
            self.change(before.vector_store_id, before.id, **changes)
            self._unmark_if_done(before.vector_store_id)
            return True

    def restart(self, store_id: str, file_ids: Sequence[str]) -> list[VectorStoreFile]:
        """Put files in progress again, since their passages are lost."""
        with self._lock:
            self._mark(store_id)
            return [
                self.change(store_id, file_id, status="in_progress", usage_bytes=0, last_error=None)
                for file_id in file_ids
                if file_id in self._content(store_id).files
            ]

    def remove(self, store_id: str, file_id: str) -> None:
        """Take a file out of a vector store."""
        with self._lock:
            self.file(store_id, file_id)
            self._files(store_id).delete(file_id)
            del self._content(store_id).files[file_id]
            self._unmark_if_done(store_id)

    def holders(self, file_id: str) -> list[str]:
        """The vector stores that have this file."""
        with self._lock:
            found = []
            for store_id in self._loaded():
                content = self._contents.get(store_id)
                if file_id in (self._files(store_id).ids() if content is None else content.files):
                    found.append(store_id)
            return found

    def unfinished(self) -> list[VectorStoreFile]:
        """All files in progress, for the start. Markers of vector stores without any are removed."""
        with self._lock:
            found: list[VectorStoreFile] = []
            for store_id in sorted(self._marked):
                try:
                    found += [file for file in self.files(store_id) if file.status == "in_progress"]
                    self._unmark_if_done(store_id)
                except ObjectNotFoundError:
                    self._unmark(store_id)
            return sorted(found, key=lambda file: file.place)

    # -- batches ---------------------------------------------------------------------------------------------------

    def batch(self, store_id: str, batch_id: str) -> FileBatch:
        """One batch."""
        with self._lock:
            found = self._content(store_id).batches.get(batch_id)
            if found is None:
                raise ObjectNotFoundError("file batch", batch_id)
            return found

    def batch_files(self, batch: FileBatch) -> list[VectorStoreFile]:
        """The files that a batch has added and that are still there, oldest first."""
        return [file for file in self.files(batch.vector_store_id) if file.batch_id == batch.id]

    def cancel(self, store_id: str, batch_id: str) -> FileBatch:
        """Cancel what is still in progress of a batch. Raises StateConflictError if nothing is."""
        with self._lock:
            batch = self.batch(store_id, batch_id)
            waiting = [file for file in self.batch_files(batch) if file.status == "in_progress"]
            if batch.cancelled:
                return batch
            if not waiting:
                raise StateConflictError(f"Cannot cancel file batch {batch_id}: it has ended.")
            batch = msgspec.structs.replace(batch, cancelled=True)
            self._batches(store_id).put(batch)
            self._content(store_id).batches[batch_id] = batch
            for file in waiting:
                self.change(store_id, file.id, status="cancelled")
            self._unmark_if_done(store_id)
            return batch

    # -- inside ----------------------------------------------------------------------------------------------------

    def _files(self, store_id: str) -> Collection[VectorStoreFile]:
        directory = posixpath.join(self._stores.dir(store_id), "files")
        return Collection(
            self._durable, directory, VectorStoreFile, prefix="file", noun="file", vector_store_id=store_id
        )

    def _batches(self, store_id: str) -> Collection[FileBatch]:
        directory = posixpath.join(self._stores.dir(store_id), "batches")
        return Collection(
            self._durable, directory, FileBatch, prefix="vsfb", noun="file batch", vector_store_id=store_id
        )

    def _loaded(self) -> dict[str, VectorStore]:
        if self._known is None:
            self._known = {store.id: store for store in self._stores.list()}
        return self._known

    def _content(self, store_id: str) -> _Content:
        self.get(store_id)
        found = self._contents.pop(store_id, None)
        if found is None:
            files, batches = self._files(store_id), self._batches(store_id)
            files.clear()
            batches.clear()
            found = _Content({file.id: file for file in files.list()}, {batch.id: batch for batch in batches.list()})
        self._contents[store_id] = found
        if len(self._contents) > _OPEN:
            self._contents.popitem(last=False)
        return found

    def _mark(self, store_id: str) -> None:
        if store_id not in self._marked:
            self._markers.put(Unfinished(id=store_id, created_at=self.now()))
            self._marked.add(store_id)

    def _unmark(self, store_id: str) -> None:
        if store_id in self._marked:
            self._markers.delete(store_id)
            self._marked.discard(store_id)

    def _unmark_if_done(self, store_id: str) -> None:
        if all(file.status != "in_progress" for file in self._content(store_id).files.values()):
            self._unmark(store_id)


def _following(files: Sequence[VectorStoreFile], store_id: str, last: VectorStoreFile | None) -> list[VectorStoreFile]:
    """The files of one vector store in this order, each once: the last of those with the same id."""
    ordered = []
    for file in {file.id: file for file in files}.values():
        last = msgspec.structs.replace(file, vector_store_id=store_id).following(last)
        ordered.append(last)
    return ordered
