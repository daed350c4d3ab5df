"""Writing so that an acknowledged change survives a power cut.

A file is replaced in four steps: temporary file, fsync, rename, fsync of the directory. Making or removing a
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
from typing import NoReturn

from oxillama.errors import StoreDamagedError, StoreError, StoreFullError, StoreReadOnlyError
from oxillama.storage.system import Disk, SystemDisk, write_all

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = "The data directory is read-only until the server is restarted"
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
            raise StoreReadOnlyError(f"{_READ_ONLY}: {self.read_only_reason}")

    # -- files -----------------------------------------------------------------------------------------------------

    def write_bytes(self, path: str, data: bytes) -> None:
        """Replace the file with `data`. After a crash it is the old file or the new one."""
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

    def make_hidden_dir(self, path: str) -> None:
        """Make a hidden directory. `publish_dir` makes it durable."""
        self.require_writable()
        with self.failures_named(path), contextlib.suppress(FileExistsError):
            self.disk.mkdir(path)

    def publish_dir(self, temporary: str, path: str) -> None:
        """Rename a finished hidden directory to its name. This is the commit point of everything in it."""
        self.sync_dir(temporary)
        with self.failures_named(path):
            self.disk.rename(temporary, path)
        self.sync_dir(posixpath.dirname(path))

    def retire(self, path: str, name: str | None = None) -> None:
        """Rename a file or directory durably, or remove it. A missing one is not an error."""
        self.require_writable()
        directory, old = posixpath.split(path)
        target = posixpath.join(directory, name or f".trash-{old}")
        with self.failures_named(path):
            try:
                self.disk.rename(path, target)
            except FileNotFoundError:
                return
        self.sync_dir(directory)
        if name is None:
            self.discard_tree(target)

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
        raise self.read_only(path, error.strerror) from error

    def read_only(self, path: str, why: str | None) -> StoreReadOnlyError:
        """Refuse all changes from now on, because an fsync has failed. Returns the error to raise."""
        if self.read_only_reason is None:
            self.read_only_reason = f"fsync of {path} failed ({why})."
            _log.error("store is read-only until restart: path %s, %s", path, why)
        return StoreReadOnlyError(f"{_READ_ONLY}: {self.read_only_reason}")

    def try_to_write(self, directory: str) -> None:
        """Find out whether there is space. Sets `is_full`."""
        probe = posixpath.join(directory, ".probe")
        with contextlib.suppress(StoreError):
            self.write_bytes(probe, bytes(65536))
            self.remove_file(probe)

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
