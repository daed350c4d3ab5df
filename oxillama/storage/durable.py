"""Writing so that an acknowledged change survives a power cut.

A JSON file is replaced in four steps: temporary file, fsync, rename, fsync of the directory. Making or removing a
directory ends with an fsync of its parent. A change is acknowledged after its last step; if a step fails, the change is
undone.

A failed fsync is never repeated. The kernel may have dropped the pages that it could not write, and the next fsync
would succeed without them. Therefore the store refuses all changes from then on, until it is opened again.
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
    """Durable operations on one data directory. Remembers that an fsync has failed.

    Several threads may use one. Callers make sure that two changes of one path do not run at the same time. Each method
    that changes something raises StoreFullError (no space, undone), StoreReadOnlyError (an fsync failed, now or
    earlier) or StoreError.
    """

    def __init__(self, disk: Disk | None = None) -> None:
        self.disk: Disk = SystemDisk() if disk is None else disk
        self.read_only_reason: str | None = None
        self.is_full = False  # the last change was refused because there was no space

    def require_writable(self) -> None:
        """Raise StoreReadOnlyError if an fsync has failed."""
        if self.read_only_reason is not None:
            raise StoreReadOnlyError(
                f"The data directory is read-only until the server is restarted: {self.read_only_reason}"
            )

    # -- files -----------------------------------------------------------------------------------------------------

    def write_json(self, path: str, value: Any) -> None:
        """Replace the file with the JSON of `value`. After a crash it is the old file or the new one."""
        self.write_bytes(path, msgspec.json.encode(value) + b"\n")

    def write_bytes(self, path: str, data: bytes) -> None:
        """Replace the file with `data`, in the same way."""
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
        """Write a file into a hidden directory, which the caller publishes later."""
        self.write_new_bytes(path, msgspec.json.encode(value) + b"\n")

    def write_new_bytes(self, path: str, data: bytes) -> None:
        """The same with `data`."""
        self.require_writable()
        self._write_new(path, data, path)

    def _write_new(self, path: str, data: bytes, named: str) -> None:
        with self.failures_named(named):
            fd = self.disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            with self.failures_named(named):
                write_all(self.disk, fd, data)
            self.sync_new(fd, named)
        finally:
            self.close(fd)

    def sync_new(self, fd: int, path: str) -> None:
        """Make the bytes of a file durable that is not in use yet."""
        try:
            self.disk.fsync(fd)
        except OSError as error:
            if error.errno in NO_SPACE:  # safe to undo: the file is deleted
                raise self.no_space(path) from error
            self.fsync_failed(path, error)

    def close(self, fd: int) -> None:
        """Close a file whose bytes were synced or given up. Network shares may report the earlier error again here."""
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
        """Remove a file durably. A missing file is not an error."""
        self.require_writable()
        with self.failures_named(path):
            try:
                self.disk.unlink(path)
            except FileNotFoundError:
                return
        self.sync_dir(posixpath.dirname(path))

    # -- directories -----------------------------------------------------------------------------------------------

    def make_dir(self, path: str) -> None:
        """Make a directory and its parents durably. An existing directory is not an error."""
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
        """Make a hidden directory with these subdirectories. `publish_dir` makes them durable."""
        self.require_writable()
        for directory in (path, *(posixpath.join(path, name) for name in names)):
            with self.failures_named(directory), contextlib.suppress(FileExistsError):
                self.disk.mkdir(directory)

    def publish_dir(self, temporary: str, path: str) -> None:
        """Rename a finished hidden directory to its name. This is the commit point of everything in it."""
        self.sync_dir(temporary)
        with self.failures_named(path):
            self.disk.rename(temporary, path)
        self.sync_dir(posixpath.dirname(path))

    def remove_tree(self, path: str, head: str) -> None:
        """Remove a directory durably and as a whole.

        It is renamed first, which is the commit point, and then emptied. On a full disk the parent may have no room for
        the new name. Then the file `head` is removed first, which needs no space and is the commit point: a directory
        without its head counts as removed.
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
        """Remove the temporary files and directories that a crash has left behind in a directory."""
        try:
            names = self.disk.listdir(path)
        except OSError:
            return
        for name in names:
            if name.startswith((".tmp-", ".trash-")) or (name.startswith(".") and name.endswith(".tmp")):
                self.discard_tree(posixpath.join(path, name))

    def discard_tree(self, path: str) -> None:
        """Remove a file or tree that is no longer in use. A failure is only logged: the next start tries again."""
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
        """The names in a directory, without temporary ones. A missing directory counts as empty."""
        try:
            return [name for name in self.disk.listdir(path) if not name.startswith(".")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreDamagedError(f"{path} cannot be read: {error.strerror}") from error

    # -- shared ------------------------------------------------------------------------------

    def sync_dir(self, path: str) -> None:
        """Make a directory's entries durable. If that fails, the store becomes read-only."""
        try:
            self.disk.fsync_dir(path)
        except OSError as error:
            self.fsync_failed(path, error)

    def fsync_failed(self, path: str, error: OSError) -> NoReturn:
        """Refuse all changes from now on. Raises StoreReadOnlyError."""
        if self.read_only_reason is None:
            self.read_only_reason = f"fsync of {path} failed ({error.strerror})."
            _log.error("store is read-only until restart: path %s, %s", path, error)
        self.require_writable()
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def failures_named(self, path: str) -> Iterator[None]:
        """Turn OSErrors into StoreErrors that name the path."""
        try:
            yield
        except OSError as error:
            if error.errno in NO_SPACE:
                raise self.no_space(path) from error
            raise StoreError(f"{path} could not be written: {error.strerror}") from error

    def no_space(self, path: str) -> StoreFullError:
        """Note that the disk is full, and return the error to raise."""
        self.is_full = True
        return StoreFullError(f"{path}: no space left on the device.")
