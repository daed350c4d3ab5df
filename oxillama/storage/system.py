"""The operating system's file calls, one method each: the one seam behind which tests lose power and run out of space.

Whatever must survive goes through a `Disk`: the data directory, and the GGUF writer. Nothing here decides anything, and
nothing of oxillama is imported: layers below `storage` may use it. All methods raise OSError as the system does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Disk(Protocol):
    """The calls that stored files are made of. Paths are strings; `fd` is what `open` returned."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int: ...
    def write(self, fd: int, data: Buffer) -> int: ...
    def pwrite(self, fd: int, data: Buffer, at: int) -> int: ...
    def truncate(self, fd: int, length: int) -> None: ...
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


# What file systems answer to a call that they do not have: network shares (NFS, SMB), 9p, FUSE.
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

    def truncate(self, fd: int, length: int) -> None:
        """Cut off what is behind `length`, or fill up with zeros."""
        os.ftruncate(fd, length)

    def fsync(self, fd: int) -> None:
        """On return the file's bytes are on the medium, as far as its file system can promise that."""
        try:
            _fsync(fd)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise

    def close(self, fd: int) -> None:
        os.close(fd)

    def lock(self, fd: int) -> bool:
        """Lock a file for this process until it is closed; False where the file system has no locks.

        Raises BlockingIOError while another process holds it.
        """
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _LOCKED:  # EACCES: where flock is made of fcntl's locks
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
        """On return the directory's names are on the medium. File systems without such a call keep names in order
        themselves."""
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


def write_all(disk: Disk, fd: int, data: Buffer, at: int | None = None) -> None:
    """Write every byte, from offset `at` or where the file stands; after a short write the rest is tried again, until
    the system says why. Raises OSError."""
    view = memoryview(data).cast("B")
    while view:
        written = disk.write(fd, view) if at is None else disk.pwrite(fd, view, at)
        if written <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]
        at = None if at is None else at + written


def _fsync(fd: int) -> None:
    if sys.platform == "darwin":
        try:  # fsync alone hands the data to the drive, which may keep it in its own cache
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
    os.fsync(fd)
