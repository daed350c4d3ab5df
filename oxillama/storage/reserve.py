"""Space that is kept for changes that must work on a full disk."""

from __future__ import annotations

import logging
import os
import posixpath

from oxillama.errors import StoreError
from oxillama.storage.durable import Durable

SIZE = 8 << 20
"""More than the log holds, which must reach the database before its space is free again."""

_LEAST = 1 << 18
_log = logging.getLogger(__name__)


class Reserve:
    """The file `reserve` in a data directory. It takes up space until that is needed."""

    def __init__(self, directory: str, durable: Durable) -> None:
        self._path = posixpath.join(directory, "reserve")
        self._durable = durable

    def fill(self) -> None:
        """Take the space, or as much as there is."""
        if self._durable.read_only_reason is not None or self._durable.disk.isfile(self._path):
            return
        was_full = self._durable.is_full
        size = SIZE
        while size >= _LEAST and not self._take(size):
            size //= 2
        if size < _LEAST:
            _log.warning("no space kept in reserve: path %s", self._path)
        self._durable.is_full = was_full

    def _take(self, size: int) -> bool:
        durable = self._durable
        try:
            with durable.failures_named(self._path):
                fd = durable.disk.open(self._path, os.O_WRONLY | os.O_CREAT)
                try:
                    durable.disk.allocate(fd, size)
                finally:
                    durable.close(fd)
        except StoreError:
            self.release()
            return False
        return True

    def release(self) -> bool:
        """Give the space up. False: there was none."""
        try:
            self._durable.disk.unlink(self._path)
        except OSError:
            return False
        return True
