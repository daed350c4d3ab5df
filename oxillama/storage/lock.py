"""One process per data directory."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType

from oxillama.errors import StoreError


class DirectoryLock:
    """Held from construction until `close`; the system lets go of it when the process ends, however it ends.

    Raises StoreError while another process holds it.
    """

    def __init__(self, directory: str) -> None:
        path = os.path.join(directory, "lock")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{directory} cannot be used as data directory: {error.strerror}.") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise StoreError(
                f"{directory} is in use by another oxillama server: stop that one or give another --data-dir."
            ) from error

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> DirectoryLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
