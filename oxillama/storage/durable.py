"""Writing so that an acknowledged change survives a power cut.

A JSON file is replaced by: temporary file, fsync, rename, fsync of the directory. A directory is made, or taken away,
with an fsync of its parent. Nothing is acknowledged before the last step; a step that fails is undone.

After an fsync that failed the kernel may have dropped the pages it could not write, and the next fsync would "succeed"
without them. So it is never repeated: the store refuses every further change until it is opened again.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import posixpath
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

from oxillama.errors import StoreDamagedError, StoreError, StoreFullError, StoreReadOnlyError
from oxillama.storage.system import Disk, SystemDisk, write_all

T = TypeVar("T")

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_log = logging.getLogger(__name__)


class Durable:
    """One data directory's way to the disk: durable operations, and the memory of a failed fsync.

    Threads may share one; callers keep two changes of the same path from running at once. Every changing method raises
    StoreFullError (no space; undone), StoreReadOnlyError (an fsync failed now or earlier) or StoreError.
    """

    def __init__(self, disk: Disk | None = None) -> None:
        self.disk: Disk = SystemDisk() if disk is None else disk
        self.read_only_reason: str | None = None
        self.is_full = False  # the last change was refused for want of space

    def require_writable(self) -> None:
        """Raises StoreReadOnlyError once an fsync has failed."""
        if self.read_only_reason is not None:
            raise StoreReadOnlyError(
                f"The data directory is read-only until the server is restarted: {self.read_only_reason}"
            )

    # -- files -----------------------------------------------------------------------------------------------------

    def write_json(self, path: str, value: Any) -> None:
        """Make `path` hold `value`, whole: after a crash the file is the old one or the new one."""
        self.write_bytes(path, msgspec.json.encode(value) + b"\n")

    def write_bytes(self, path: str, data: bytes) -> None:
        """Make `path` hold `data`, whole."""
        self.require_writable()
        directory, name = posixpath.split(path)
        temporary = posixpath.join(directory, f".{name}.tmp")
        try:
            self._write_new(temporary, data, path)
            with self.failures_named(path):
                self.disk.rename(temporary, path)
        except StoreError:
            with contextlib.suppress(OSError):
                self.disk.unlink(temporary)
            raise
        self.sync_dir(directory)
        self.is_full = False

    def write_new_json(self, path: str, value: Any) -> None:
        """Write a file into a directory that nobody can see yet; the caller publishes the directory."""
        self.require_writable()
        self._write_new(path, msgspec.json.encode(value) + b"\n", path)

    def _write_new(self, path: str, data: bytes, named: str) -> None:
        with self.failures_named(named):
            fd = self.disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            with self.failures_named(named):
                write_all(self.disk, fd, data)
            try:
                self.disk.fsync(fd)
            except OSError as error:
                if error.errno in NO_SPACE:  # the file is not in use yet and is thrown away: nothing is in doubt
                    raise self.no_space(named) from error
                self.fsync_failed(named, error)
        finally:
            self.close(fd)

    def close(self, fd: int) -> None:
        """Let go of a file. Its bytes were synced before, or given up: network shares may say here once more why."""
        with contextlib.suppress(OSError):
            self.disk.close(fd)

    def read_json(self, path: str, kind: type[T]) -> T:
        """The value stored at `path`. Raises FileNotFoundError; StoreDamagedError if it cannot be decoded."""
        data = self.read_bytes(path)
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StoreDamagedError(f"{path} is damaged: {error}") from error

    def read_bytes(self, path: str) -> bytes:
        """The file's bytes. Raises FileNotFoundError; StoreDamagedError if the device cannot read it."""
        try:
            return self.disk.read(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
        except OSError as error:
            raise StoreDamagedError(f"{path} cannot be read: {error.strerror}") from error

    def remove_file(self, path: str) -> None:
        """Take a file away for good; one that is not there is no error."""
        self.require_writable()
        with self.failures_named(path):
            try:
                self.disk.unlink(path)
            except FileNotFoundError:
                return
        self.sync_dir(posixpath.dirname(path))

    # -- directories -----------------------------------------------------------------------------------------------

    def make_dir(self, path: str) -> None:
        """Make a directory, and those above it; one that is there is no error."""
        self.require_writable()
        if self.disk.isdir(path):
            return
        parent = posixpath.dirname(path)
        if parent != path:
            self.make_dir(parent)
        with self.failures_named(path):
            try:
                self.disk.mkdir(path)
            except FileExistsError:
                if not self.disk.isdir(path):
                    raise StoreError(f"{path} is in the way: a directory belongs there. Move it away.") from None
        self.sync_dir(parent)

    def make_hidden_dirs(self, path: str, *names: str) -> None:
        """Make a directory that nobody can see yet, with these in it; `publish_dir` makes all of it durable."""
        self.require_writable()
        for directory in (path, *(posixpath.join(path, name) for name in names)):
            with self.failures_named(directory), contextlib.suppress(FileExistsError):
                self.disk.mkdir(directory)

    def publish_dir(self, temporary: str, path: str) -> None:
        """Give a finished directory its name: the commit point of everything in it."""
        self.sync_dir(temporary)
        with self.failures_named(path):
            self.disk.rename(temporary, path)
        self.sync_dir(posixpath.dirname(path))

    def remove_tree(self, path: str, head: str) -> None:
        """Take a directory away for good: it is gone as a whole, whatever becomes of the removal behind it.

        head: the file in it without which it counts as gone. Where no room is left for another name in the directory
        above, it goes first: that needs none, and what it frees may do.
        """
        self.require_writable()
        directory, name = posixpath.split(path)
        trash = posixpath.join(directory, f".trash-{name}")
        with self.failures_named(path):
            try:
                self.disk.rename(path, trash)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                with contextlib.suppress(FileNotFoundError):
                    self.disk.unlink(posixpath.join(path, head))
                self.sync_dir(path)
                with contextlib.suppress(OSError):
                    self.disk.rename(path, trash)
        self.sync_dir(directory)
        self.discard_tree(trash if self.disk.isdir(trash) else path)

    def clear_dir(self, path: str) -> None:
        """Remove from a directory what a crash left half made or half removed."""
        try:
            names = self.disk.listdir(path)
        except OSError:
            return
        for name in names:
            if name.startswith((".tmp-", ".trash-")) or (name.startswith(".") and name.endswith(".tmp")):
                self.discard_tree(posixpath.join(path, name))

    def discard_tree(self, path: str) -> None:
        """Remove what nobody refers to any more. A failure costs space only: it is logged, and a start tries again."""
        try:
            self._discard(path)
        except OSError as error:
            _log.warning("leftover not removed: path %s, %s", path, error)

    def _discard(self, path: str) -> None:
        if not self.disk.isdir(path):
            with contextlib.suppress(FileNotFoundError):
                self.disk.unlink(path)
            return
        for name in self.disk.listdir(path):
            self._discard(posixpath.join(path, name))
        self.disk.rmdir(path)

    def list_dir(self, path: str) -> list[str]:
        """The names in a directory that are not temporary; a missing directory is empty."""
        try:
            return [name for name in self.disk.listdir(path) if not name.startswith(".")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreDamagedError(f"{path} cannot be read: {error.strerror}") from error

    # -- the parts all of these share ------------------------------------------------------------------------------

    def sync_dir(self, path: str) -> None:
        """Make a directory's entries durable; a failure makes the store read-only."""
        try:
            self.disk.fsync_dir(path)
        except OSError as error:
            self.fsync_failed(path, error)

    def fsync_failed(self, path: str, error: OSError) -> NoReturn:
        """Refuse all further changes. Raises StoreReadOnlyError."""
        if self.read_only_reason is None:
            self.read_only_reason = f"fsync of {path} failed ({error.strerror})."
            _log.error("store is read-only until restart: path %s, %s", path, error)
        self.require_writable()
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def failures_named(self, path: str) -> Iterator[None]:
        """Turn the system's errors into the store's, naming the path."""
        try:
            yield
        except OSError as error:
            if error.errno in NO_SPACE:
                raise self.no_space(path) from error
            raise StoreError(f"{path} could not be written: {error.strerror}") from error

    def no_space(self, path: str) -> StoreFullError:
        """The error to raise for a change that was undone, and the note of it."""
        self.is_full = True
        return StoreFullError(f"{path}: no space left on the device.")
