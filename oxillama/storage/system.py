"""The operating system's file calls, one method each. Tests replace them to cut the power and to fill the disk.

The data directory and the GGUF writer both write through a `Disk`. This module decides nothing and imports nothing of
oxillama, so that layers below `storage` may use it. All methods raise OSError as the system does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Disk(Protocol):
    """The file calls. Paths are strings; `fd` is a descriptor that `open` returned."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int: ...
    def write(self, fd: int, data: Buffer) -> int: ...
    def pwrite(self, fd: int, data: Buffer, at: int) -> int: ...
    def pread(self, fd: int, n: int, at: int) -> bytes: ...
    def truncate(self, fd: int, length: int) -> None: ...
    def allocate(self, fd: int, length: int) -> None: ...
    def fsync(self, fd: int) -> None: ...
    def close(self, fd: int) -> None: ...
    def lock(self, fd: int) -> bool: ...
    def rename(self, source: str, target: str) -> None: ...
    def unlink(self, path: str) -> None: ...
    def mkdir(self, path: str) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def fsync_dir(self, path: str) -> None: ...
    def read(self, path: str) -> bytes: ...
    def listdir(self, path: str) -> list[str]: ...
    def isdir(self, path: str) -> bool: ...
    def isfile(self, path: str) -> bool: ...
    def database_uri(self, path: str) -> str: ...


# How file systems (NFS, SMB, 9p, FUSE) answer a call that they do not support.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS})
_NO_DIRECTORY_FSYNC = _UNSUPPORTED | {errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM}
_NO_LOCKS = _UNSUPPORTED | {errno.ENOLCK, errno.EBADF}
_LOCKED = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES})


class SystemDisk:
    """The real file system."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        return os.open(path, flags | os.O_CLOEXEC, mode)

    def write(self, fd: int, data: Buffer) -> int:
        return os.write(fd, data)

    def pwrite(self, fd: int, data: Buffer, at: int) -> int:
        return os.pwrite(fd, data, at)

    def pread(self, fd: int, n: int, at: int) -> bytes:
        return os.pread(fd, n, at)

    def truncate(self, fd: int, length: int) -> None:
        """Shorten the file to `length` bytes, or extend it with zeros."""
        os.ftruncate(fd, length)

    def allocate(self, fd: int, length: int) -> None:
        """Give an empty file `length` bytes of space."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, length)
        else:
            write_all(self, fd, bytes(length))

    def fsync(self, fd: int) -> None:
        """Write the file's bytes to the medium. A file system without this call keeps its own promises."""
        try:
            _fsync(fd)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise

    def close(self, fd: int) -> None:
        os.close(fd)

    def lock(self, fd: int) -> bool:
        """Lock a file for this process until it is closed. False: the file system has no locks.

        Raises BlockingIOError while another process holds the lock.
        """
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _LOCKED:  # EACCES: where flock is emulated by fcntl locks
                raise BlockingIOError(error.errno, os.strerror(error.errno)) from error
            if error.errno in _NO_LOCKS:
                return False
            raise
        return True

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def mkdir(self, path: str) -> None:
        os.mkdir(path, 0o700)

    def rmdir(self, path: str) -> None:
        os.rmdir(path)

    def fsync_dir(self, path: str) -> None:
        """Write the directory's names to the medium. File systems without this call keep names in order themselves."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno not in _NO_DIRECTORY_FSYNC:
                raise

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def listdir(self, path: str) -> list[str]:
        return os.listdir(path)

    def isdir(self, path: str) -> bool:
        return os.path.isdir(path)

    def isfile(self, path: str) -> bool:
        return os.path.isfile(path)

    def database_uri(self, path: str) -> str:
        """How SQLite is told to open this file. It makes its own calls."""
        return f"file:{quote(path)}"


def write_all(disk: Disk, fd: int, data: Buffer, at: int | None = None) -> None:
    """Write all bytes, at offset `at` or at the file's position. Short writes are continued. Raises OSError."""
    view = memoryview(data).cast("B")
    while view:
        written = disk.write(fd, view) if at is None else disk.pwrite(fd, view, at)
        if written <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]
        at = None if at is None else at + written


def _fsync(fd: int) -> None:
    if sys.platform == "darwin":
        try:  # fsync alone leaves the data in the drive's cache
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
    os.fsync(fd)
