"""The real disk with calls that fail when a test sets a flag. SQLite uses it too."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from oxillama.storage.reserve import SIZE
from oxillama.storage.system import SystemDisk
from tests.support.disk_vfs import uri

if TYPE_CHECKING:
    from typing_extensions import Buffer


class FailingDisk(SystemDisk):
    """full: writes fail with ENOSPC. broken: fsync fails with EIO. stuck: writing and removing fail with EIO.

    Removing the file that is kept in reserve makes room for as many bytes on a full disk.
    """

    full = False
    broken = False
    stuck = False
    room = 0

    def write(self, fd: int, data: Buffer) -> int:
        self._require_device(data)
        return super().write(fd, data)

    def pwrite(self, fd: int, data: Buffer, at: int) -> int:
        self._require_device(data)
        return super().pwrite(fd, data, at)

    def allocate(self, fd: int, length: int) -> None:
        self._require_device(bytes(length))
        super().allocate(fd, length)

    def fsync(self, fd: int) -> None:
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().fsync(fd)

    def unlink(self, path: str) -> None:
        self._require_device()
        super().unlink(path)
        if path.endswith("/reserve"):
            self.room = SIZE

    def database_uri(self, path: str) -> str:
        return uri(self, path)

    def _require_device(self, data: Buffer = b"") -> None:
        if self.stuck:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self.full and (size := memoryview(data).nbytes):
            if size > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= size
