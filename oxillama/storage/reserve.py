"""Space that is kept for changes that must work on a full disk."""

from __future__ import annotations

import logging
import os
import posixpath

from oxillama.errors import StoreError
from oxillama.storage.durable import Durable

SIZE = 1 << 20
_log = logging.getLogger(__name__)


class Reserve:
    """The file `reserve` in a data directory. It takes up space until that is needed."""

    def __init__(self, directory: str, durable: Durable) -> None:
        self._path = posixpath.join(directory, "reserve")
        self._durable = durable

    def fill(self) -> None:
        """Take the space, if there is any. A file system may store zeros without space, so these are random bytes."""
        if self._durable.read_only_reason is not None or self._durable.disk.isfile(self._path):
            return
        was_full = self._durable.is_full
        try:
            self._durable.write_bytes(self._path, os.urandom(SIZE))
        except StoreError as error:
            _log.warning("no space kept in reserve: %s", error)
        self._durable.is_full = was_full

    def release(self) -> bool:
        """Give the space up. False: there was none."""
        try:
            self._durable.disk.unlink(self._path)
        except OSError:
            return False
        return True
