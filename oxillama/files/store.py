"""The files of a data directory: a row each, and the bytes in `files/<id>/content`.

The bytes are in place before the row is, and go after it: the row says whether there is a file.
"""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Callable, Generator

from oxillama.errors import ObjectNotFoundError, StoreDamagedError, StoreError
from oxillama.files.records import StoredFile
from oxillama.storage.collection import Collection, Cut, Part
from oxillama.storage.contents import Contents
from oxillama.storage.database import Database
from oxillama.storage.stream import NewFile, read_parts

_log = logging.getLogger(__name__)


class FileStore:
    """All files. Safe to use from several threads.

    A file past its `expires_at` does not exist; it is removed when it is met. All methods block and raise what
    `Database` and `Durable` raise. clock: Unix seconds.
    """

    def __init__(self, directory: str, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self._durable = database.durable
        self._clock = clock
        self._files = Collection(
            database, "files", StoredFile, prefix="file", noun="file", tag=lambda file: file.purpose
        )
        self._contents = Contents(self._durable, posixpath.join(directory, "files"), "file")
        self._contents.make()

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    def clear(self) -> None:
        """Take over the files of an earlier version, and remove what a crash left behind. For the start."""
        self._contents.take_over(self._files, "file.json")
        self._contents.clear(set(self._files.ids()))

    def begin(self, file_id: str) -> NewFile:
        """A new file to write into. Then call `finish` or `discard`."""
        self._files.check(file_id)
        return self._contents.begin(file_id)

    def finish(self, file: StoredFile, content: NewFile, *, as_it_is: bool = False) -> StoredFile:
        """Store the file whose bytes have been written. Discards it if that fails.

        as_it_is: keep its time even if there are younger files. For imports.
        """
        self.place(file.id, content)
        try:
            with self.database.change():
                return self.add(file, as_it_is=as_it_is)
        except BaseException:
            self.remove_bytes(file.id)
            raise

    def place(self, file_id: str, content: NewFile) -> None:
        """Put the written bytes in their place, for a file to be added. Discards them if that fails."""
        try:
            content.finish()
            self._contents.publish(file_id)
        except BaseException:
            self.discard(file_id, content)
            raise

    def add(self, file: StoredFile, *, as_it_is: bool = False) -> StoredFile:
        """Store the file whose bytes are in their place. For use in a change."""
        if not as_it_is:
            file = self._files.following(file)
        self._files.put(file)
        return file

    def discard(self, file_id: str, content: NewFile) -> None:
        """Give up a file that is not finished."""
        content.close()
        self._contents.discard(file_id)

    def remove_bytes(self, file_id: str) -> None:
        """Give up bytes that are in their place, of a file that was not added."""
        if self._durable.read_only_reason is None:  # else the row may be on disk
            self._contents.remove(file_id)

    def get(self, file_id: str) -> StoredFile:
        """One file. Raises ObjectNotFoundError or StoreDamagedError."""
        found = self._files.get(file_id)
        if self._is_over(found):
            self._remove(found)
            raise ObjectNotFoundError("file", file_id)
        return found

    def list(self) -> list[StoredFile]:
        """All files, oldest first. Damaged ones are left out and logged."""
        self.expire()
        return self._files.list()

    def page(self, wanted: Cut) -> Part[StoredFile]:
        """Part of the list, and whether there is more. The tag is a purpose."""
        records, more = self._files.cut(wanted)
        if any(map(self._is_over, records)):
            self.expire()
            records, more = self._files.cut(wanted)
        return records, more

    def expire(self) -> None:
        """Remove the files that have expired."""
        for file in self._files.list():
            if self._is_over(file):
                self._remove(file)

    def parts(self, file_id: str) -> Generator[bytes, None, None]:
        """The file's bytes, in parts. Raises ObjectNotFoundError or StoreDamagedError."""
        file = self.get(file_id)
        try:
            yield from read_parts(self._durable, self._contents.path(file_id), file.bytes)
        except FileNotFoundError as error:
            self._files.require(file_id)  # deleted meanwhile
            raise StoreDamagedError(f"The bytes of {file_id} are missing: {error.filename}.") from error

    def descriptor(self, file_id: str) -> int:
        """An open descriptor of the file's bytes, for a process that reads them; the caller closes it.

        Raises ObjectNotFoundError or StoreDamagedError.
        """
        file = self.get(file_id)
        try:
            return self._durable.disk.open(self._contents.path(file.id), os.O_RDONLY)
        except FileNotFoundError:
            raise ObjectNotFoundError("file", file_id) from None
        except OSError as error:
            raise StoreDamagedError(f"file {file_id} cannot be read: {error.strerror}") from error

    def delete(self, file_id: str) -> None:
        """Delete a file, damaged or not. Raises ObjectNotFoundError."""
        if (found := self._readable(file_id)) is not None and self._is_over(found):
            self.get(file_id)
        self._files.require(file_id)
        self._delete(file_id)

    def _readable(self, file_id: str) -> StoredFile | None:
        try:
            return self._files.find(file_id)
        except StoreDamagedError:
            return None

    def _is_over(self, file: StoredFile) -> bool:
        return file.expires_at is not None and file.expires_at <= self.now()

    def _remove(self, file: StoredFile) -> None:
        try:
            self._delete(file.id)
        except StoreError as error:  # it is over all the same; the next look tries again
            _log.warning("expired file not removed: file_id %s, %s", file.id, error)

    def _delete(self, file_id: str) -> None:
        self.database.freeing(lambda: self._files.delete(file_id))
        self._contents.remove(file_id)
