"""The real disk with calls that fail when a test sets a flag."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from oxillama.storage.system import SystemDisk

if TYPE_CHECKING:
    from typing_extensions import Buffer


class FailingDisk(SystemDisk):
    """full: writes fail with ENOSPC. broken: fsync fails with EIO. stuck: writing and removing fail with EIO."""

    full = False
    broken = False
    stuck = False

    def write(self, fd: int, data: Buffer) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._require_device()
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().fsync(fd)

    def unlink(self, path: str) -> None:
        self._require_device()
        super().unlink(path)

    def _require_device(self) -> None:
        if self.stuck:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
