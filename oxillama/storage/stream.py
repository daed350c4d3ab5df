"""Files that are written and read in parts, since they may be larger than memory."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING

from oxillama.errors import StoreDamagedError
from oxillama.storage.system import write_all

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from oxillama.storage.durable import Durable

PART = 1 << 20
"""Bytes read at a time."""


class NewFile:
    """A new file in a hidden directory, which the caller publishes later. size: bytes written so far.

    All methods block and raise what `Durable` raises. After an error, or instead of `finish`, call `close`.
    """

    def __init__(self, durable: Durable, path: str) -> None:
        durable.require_writable()
        self._durable = durable
        self._path = path
        self.size = 0
        with durable.failures_named(path):
            self._fd: int | None = durable.disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)

    def write(self, data: Buffer) -> None:
        """Add bytes at the end."""
        assert self._fd is not None
        with self._durable.failures_named(self._path):
            write_all(self._durable.disk, self._fd, data)
        self.size += memoryview(data).nbytes

    def finish(self) -> None:
        """Make the file's bytes durable, and close it."""
        assert self._fd is not None
        try:
            self._durable.sync_new(self._fd, self._path)
        finally:
            self.close()

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        if self._fd is not None:
            self._durable.close(self._fd)
            self._fd = None


def read_parts(durable: Durable, path: str, size: int) -> Generator[bytes, None, None]:
    """The `size` bytes of a file, in parts. Blocking. Raises FileNotFoundError; StoreDamagedError if it is shorter."""
    fd = durable.disk.open(path, os.O_RDONLY)
    try:
        at = 0
        while at < size:
            try:
                data = durable.disk.pread(fd, min(PART, size - at), at)
            except OSError as error:
                raise StoreDamagedError(f"{path} cannot be read: {error.strerror}") from error
            if not data:
                raise StoreDamagedError(f"{path} is damaged: it ends at byte {at} of {size}")
            at += len(data)
            yield data
    finally:
        durable.close(fd)
