"""The files of a data directory: `files/<id>/` with `file.json` and `content`."""

from __future__ import annotations

import logging
import os
import posixpath
import threading
from collections.abc import Callable, Generator

from oxillama.errors import ObjectNotFoundError, StoreDamagedError, StoreError
from oxillama.files.records import StoredFile
from oxillama.storage.collection import DirectoryCollection
from oxillama.storage.durable import Durable
from oxillama.storage.stream import NewFile, read_parts

_log = logging.getLogger(__name__)


class FileStore:
    """All files. Their records are read on first use and kept in memory. Safe to use from several threads.

    A file past its `expires_at` does not exist; it is removed when it is met. All methods block and raise what
    `Durable` raises. clock: Unix seconds.
    """

    def __init__(self, directory: str, durable: Durable, clock: Callable[[], float]) -> None:
        self._durable = durable
        self._clock = clock
        self._files = DirectoryCollection(
            durable, posixpath.join(directory, "files"), StoredFile, head="file.json", prefix="file", noun="file"
        )
        durable.make_dir(self._files.directory)
        self._lock = threading.Lock()
        self._known: dict[str, StoredFile] | None = None

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    def clear(self) -> None:
        """Remove what a crash left behind. For the start, before anything else."""
        self._files.clear()

    def begin(self, file_id: str) -> NewFile:
        """A new file to write into. Then call `finish` or `discard`."""
        hidden = self._files.hidden(file_id)
        self._durable.make_hidden_dirs(hidden)
        return NewFile(self._durable, posixpath.join(hidden, "content"))

    def finish(self, file: StoredFile, content: NewFile, *, as_it_is: bool = False) -> StoredFile:
        """Store the file whose bytes have been written. Discards it if that fails.

        as_it_is: keep its time even if there are younger files. For imports, before anything is listed.
        """
        try:
            content.finish()
            with self._lock:
                known = self._loaded()
                if not as_it_is:
                    file = file.following(next(reversed(known.values()), None))
                self._files.publish(file)
                known[file.id] = file
                return file
        except BaseException:
            self.discard(file.id, content)
            raise

    def discard(self, file_id: str, content: NewFile) -> None:
        """Give up a file that is not finished."""
        content.close()
        self._files.discard(file_id)

    def get(self, file_id: str) -> StoredFile:
        """One file. Raises ObjectNotFoundError or StoreDamagedError."""
        with self._lock:
            found = self._loaded().get(file_id)
            if found is None:
                found = self._files.get(file_id)  # raises: damaged or missing
            if not self._is_over(found):
                return found
            self._remove(found)
        raise ObjectNotFoundError("file", file_id)

    def list(self) -> list[StoredFile]:
        """All files, oldest first. Damaged ones are left out and logged."""
        with self._lock:
            files = list(self._loaded().values())
            for file in files:
                if self._is_over(file):
                    self._remove(file)
            return [file for file in files if not self._is_over(file)]

    def parts(self, file_id: str) -> Generator[bytes, None, None]:
        """The file's bytes, in parts. Raises ObjectNotFoundError or StoreDamagedError."""
        file = self.get(file_id)
        try:
            yield from read_parts(self._durable, posixpath.join(self._files.dir(file_id), "content"), file.bytes)
        except FileNotFoundError:
            raise ObjectNotFoundError("file", file_id) from None

    def descriptor(self, file_id: str) -> int:
        """An open descriptor of the file's bytes, for a process that reads them; the caller closes it.

        Raises ObjectNotFoundError or StoreDamagedError.
        """
        file = self.get(file_id)
        try:
            return self._durable.disk.open(posixpath.join(self._files.dir(file.id), "content"), os.O_RDONLY)
        except FileNotFoundError:
            raise ObjectNotFoundError("file", file_id) from None
        except OSError as error:
            raise StoreDamagedError(f"file {file_id} cannot be read: {error.strerror}") from error

    def delete(self, file_id: str) -> None:
        """Delete a file. Raises ObjectNotFoundError."""
        file = self.get(file_id)
        with self._lock:
            self._files.delete(file.id)
            self._loaded().pop(file.id, None)

    def _is_over(self, file: StoredFile) -> bool:
        return file.expires_at is not None and file.expires_at <= self.now()

    def _remove(self, file: StoredFile) -> None:
        self._loaded().pop(file.id, None)
        try:
            self._files.delete(file.id)
        except StoreError as error:  # the next `list` after a start tries again
            _log.warning("expired file not removed: file_id %s, %s", file.id, error)

    def _loaded(self) -> dict[str, StoredFile]:
        if self._known is None:
            self._known = {file.id: file for file in self._files.list()}
        return self._known
