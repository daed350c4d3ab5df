"""Vector stores, their files and batches: a row each. The index of a vector store is `vector_stores/<id>/index.db`.

A start looks up the files that are in progress by their tag.
"""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Callable, Sequence
from typing import Any, get_args

import msgspec

from oxillama.errors import ObjectNotFoundError, StateConflictError
from oxillama.storage.collection import Collection, Cut, Part
from oxillama.storage.database import Database
from oxillama.storage.ids import is_id
from oxillama.vector_stores.records import FileBatch, FileCounts, FileStatus, VectorStore, VectorStoreFile

KIND = "vector store"
IN_PROGRESS = "in_progress"
ACTIVE_STEP_S = 60
"""Seconds after which another use of a vector store is noted."""


class VectorStoreRecords:
    """Records of vector stores, their files and batches. Safe to use from several threads.

    All methods block and raise what `Database` raises; ObjectNotFoundError for an unknown id. clock: Unix seconds.
    """

    def __init__(self, directory: str, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._durable = database.durable
        self._clock = clock
        self._directory = posixpath.join(directory, "vector_stores")
        self._durable.make_dir(self._directory)
        with database.change():  # one commit for new tables
            self._stores = Collection(database, "vector_stores", VectorStore, prefix="vs", noun=KIND)
            self._all_files = Collection(
                database,
                "vector_store_files",
                VectorStoreFile,
                prefix="file",
                noun="file",
                tag=lambda file: file.status,
            )
            self._all_batches = Collection(
                database, "vector_store_batches", FileBatch, prefix="vsfb", noun="file batch"
            )

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    def clear(self) -> None:
        """Remove what a crash left behind. For the start, before anything else."""
        known = set(self._stores.ids())
        for name in self._durable.list_dir(self._directory):
            if is_id(name, "vs") and name not in known:
                self._durable.discard_tree(posixpath.join(self._directory, name))

    def index_path(self, store_id: str) -> str:
        """Where the index of a vector store is."""
        self._stores.check(store_id)
        return posixpath.join(self._directory, store_id, "index.db")

    # -- vector stores ---------------------------------------------------------------------------------------------

    def create(
        self, store: VectorStore, files: Sequence[VectorStoreFile] = (), *, as_it_is: bool = False
    ) -> VectorStore:
        """Store a new one, with files in progress. as_it_is: keep its time even if there are younger ones."""
        self._durable.make_dir(posixpath.dirname(self.index_path(store.id)))
        with self._database.change():
            store = store if as_it_is else self._stores.following(store)
            self._stores.put(store)
            self._put_new(store.id, files)
            return store

    def get(self, store_id: str) -> VectorStore:
        """One vector store."""
        return self._stores.get(store_id)

    def page(self, wanted: Cut) -> Part[VectorStore]:
        """Part of the list, and whether there is more."""
        return self._stores.cut(wanted)

    def all(self) -> list[VectorStore]:
        """All, oldest first."""
        return self._stores.list()

    def update(self, store_id: str, **changes: Any) -> VectorStore:
        """Change fields of a vector store."""
        with self._database.change():
            store = msgspec.structs.replace(self.get(store_id), **changes)
            self._stores.put(store)
            return store

    def touch(self, store_id: str) -> VectorStore:
        """Note that a vector store is used."""
        store, now = self.get(store_id), self.now()
        return store if now < store.last_active_at + ACTIVE_STEP_S else self.update(store_id, last_active_at=now)

    def delete(self, store_id: str) -> None:
        """Delete a vector store with its index. Its files stay."""

        def delete() -> None:
            with self._database.change():
                self._stores.require(store_id)
                self._files(store_id).clear()
                self._batches(store_id).clear()
                self._stores.delete(store_id)

        self._database.freeing(delete)
        self._durable.discard_tree(posixpath.dirname(self.index_path(store_id)))

    def is_expired(self, store: VectorStore) -> bool:
        """Whether the vector store's time is over."""
        return store.expires_at is not None and store.expires_at <= self.now()

    def require_active(self, store_id: str) -> VectorStore:
        """One vector store. Raises StateConflictError if it has expired."""
        store = self.get(store_id)
        if self.is_expired(store):
            raise StateConflictError(f"Vector store {store_id} is expired.")
        return store

    def is_active(self, store_id: str) -> bool:
        """Whether the vector store exists and has not expired."""
        try:
            return not self.is_expired(self.get(store_id))
        except ObjectNotFoundError:
            return False

    # -- files -----------------------------------------------------------------------------------------------------

    def files(self, store_id: str, status: FileStatus | None = None) -> list[VectorStoreFile]:
        """The files of a vector store, oldest first. status: only those with it."""
        with self._database.read():
            self._stores.require(store_id)
            return self._files(store_id).list(status)

    def file_ids(self, store_id: str) -> Sequence[str]:
        """The ids of the files of a vector store, oldest first."""
        with self._database.read():
            self._stores.require(store_id)
            return self._files(store_id).ids()

    def file_page(self, store_id: str, wanted: Cut) -> Part[VectorStoreFile]:
        """Part of the list of files, and whether there is more. The tag is a status."""
        with self._database.read():
            self._stores.require(store_id)
            return self._files(store_id).cut(wanted)

    def counts(self, store_id: str) -> tuple[FileCounts, int]:
        """How many files have each status, and the bytes that they use."""
        with self._database.read():
            self._stores.require(store_id)
            files = self._files(store_id)
            return _counted(files), files.total("usage_bytes")

    def file(self, store_id: str, file_id: str) -> VectorStoreFile:
        """One file of a vector store."""
        with self._database.read():
            self._stores.require(store_id)
            return self._files(store_id).get(file_id)

    def add(
        self, store_id: str, files: Sequence[VectorStoreFile], batch: FileBatch | None = None
    ) -> list[VectorStoreFile]:
        """Add files in progress, and the batch that they came in. A file that is there already is replaced."""
        with self._database.change():
            self.require_active(store_id)
            if batch is not None:
                self._batches(store_id).put(batch)
            added = self._put_new(store_id, files)
            self.update(store_id, last_active_at=self.now())
            return added

    def change(self, store_id: str, file_id: str, **changes: Any) -> VectorStoreFile:
        """Change fields of a file."""
        with self._database.change():
            file = msgspec.structs.replace(self.file(store_id, file_id), **changes)
            self._files(store_id).put(file)
            return file

    def settle(self, before: VectorStoreFile, **changes: Any) -> bool:
        """End the progress of a file. False: meanwhile it was removed, replaced or cancelled."""
        with self._database.change():
            try:
                now = self.file(before.vector_store_id, before.id)
            except ObjectNotFoundError:
                return False
            if (now.addition, now.status) != (before.addition, IN_PROGRESS):
                return False
            self.change(before.vector_store_id, before.id, **changes)
            return True

    def restart(self, store_id: str, file_ids: Sequence[str]) -> list[VectorStoreFile]:
        """Put files in progress again, since their passages are lost."""
        if not file_ids:
            return []
        with self._database.change():
            known = set(self._files(store_id).ids())
            return [
                self.change(store_id, file_id, status=IN_PROGRESS, usage_bytes=0, last_error=None)
                for file_id in file_ids
                if file_id in known
            ]

    def remove(self, store_id: str, file_id: str) -> None:
        """Take a file out of a vector store."""

        def remove() -> None:
            with self._database.change():
                self._stores.require(store_id)
                self._files(store_id).require(file_id)
                self._files(store_id).delete(file_id)

        self._database.freeing(remove)

    def holders(self, file_id: str) -> Sequence[str]:
        """The vector stores that have this file."""
        return self._all_files.owners_of(file_id)

    def are_unfinished(self, store_ids: Sequence[str]) -> bool:
        """Whether one of these vector stores has files in progress."""
        with self._database.read():
            return any(owner in store_ids for owner, _ in self._all_files.owners(IN_PROGRESS))

    def unfinished(self) -> list[VectorStoreFile]:
        """All files in progress, oldest first."""
        with self._database.read():
            return [
                file
                for store_id in dict.fromkeys(owner for owner, _ in self._all_files.owners(IN_PROGRESS))
                for file in self._files(store_id).list(IN_PROGRESS)
            ]

    # -- batches ---------------------------------------------------------------------------------------------------

    def batch(self, store_id: str, batch_id: str) -> FileBatch:
        """One batch."""
        with self._database.read():
            self._stores.require(store_id)
            return self._batches(store_id).get(batch_id)

    def batch_page(self, store_id: str, batch_id: str, wanted: Cut) -> Part[VectorStoreFile]:
        """Part of the list of files that a batch has added and that are still there. The tag is a status."""
        with self._database.read():
            return self._files_of(self.batch(store_id, batch_id)).cut(wanted)

    def batch_counts(self, batch: FileBatch) -> FileCounts:
        """How many files that a batch has added, and that are still there, have each status."""
        return _counted(self._files_of(batch))

    def cancel(self, store_id: str, batch_id: str) -> FileBatch:
        """Cancel what is still in progress of a batch. Raises StateConflictError if nothing is."""
        with self._database.change():
            batch = self.batch(store_id, batch_id)
            if batch.cancelled:
                return batch
            waiting = self._files_of(batch).list(IN_PROGRESS)
            if not waiting:
                raise StateConflictError(f"Cannot cancel file batch {batch_id}: it has ended.")
            batch = msgspec.structs.replace(batch, cancelled=True)
            self._batches(store_id).put(batch)
            for file in waiting:
                self.change(store_id, file.id, status="cancelled")
            return batch

    # -- inside ----------------------------------------------------------------------------------------------------

    def _files(self, store_id: str) -> Collection[VectorStoreFile]:
        return self._all_files.within(store_id, vector_store_id=store_id)

    def _files_of(self, batch: FileBatch) -> Collection[VectorStoreFile]:
        return self._files(batch.vector_store_id).having("batch_id", batch.id)

    def _batches(self, store_id: str) -> Collection[FileBatch]:
        return self._all_batches.within(store_id, vector_store_id=store_id)

    def _put_new(self, store_id: str, files: Sequence[VectorStoreFile]) -> list[VectorStoreFile]:
        """Put files behind the others, in this order, each once: the last of those with the same id."""
        collection, added = self._files(store_id), []
        for file in {file.id: file for file in files}.values():
            collection.delete(file.id)
            new = msgspec.structs.replace(file, vector_store_id=store_id, addition=secrets.token_hex(8))
            new = collection.following(new)
            collection.put(new)
            added.append(new)
        return added


def _counted(files: Collection[VectorStoreFile]) -> FileCounts:
    counts = files.tagged(get_args(FileStatus))
    return FileCounts(**counts, total=sum(counts.values()))
