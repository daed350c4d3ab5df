"""The lock that lets only one process use a data directory."""

from __future__ import annotations

import logging
import os
import posixpath

from oxillama.errors import StoreError
from oxillama.storage.system import Disk, SystemDisk

_log = logging.getLogger(__name__)


class DirectoryLock:
    """A lock held from construction until `close`. The system releases it when the process ends for any reason.

    On a file system without locks nothing is locked, and a warning is logged. Raises StoreError while another process
    holds the lock.
    """

    def __init__(self, directory: str, disk: Disk | None = None) -> None:
        self._disk = SystemDisk() if disk is None else disk
        path = posixpath.join(directory, "lock")
        try:
            self._fd = self._disk.open(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise StoreError(f"{path} cannot be opened: {error.strerror}. Give another --data-dir.") from error
        try:
            locked = self._disk.lock(self._fd)
        except BlockingIOError as error:
            self.close()
            message = f"{directory} is in use by another oxillama server: stop that one or give another --data-dir."
            raise StoreError(message) from error
        except OSError as error:
            self.close()
            raise StoreError(f"{directory} cannot be locked: {error.strerror}. Give another --data-dir.") from error
        if not locked:
            _log.warning("no locks on this file system: let only one server use the data directory: path %s", directory)

    def close(self) -> None:
        if self._fd >= 0:
            self._disk.close(self._fd)
            self._fd = -1
