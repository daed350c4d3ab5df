"""An open data directory: locked for this process, with one `Durable` for everything that is stored in it."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import AsyncIterator
from typing import Literal

from oxillama.concurrency import Offload
from oxillama.errors import StoreError
from oxillama.storage.durable import Durable
from oxillama.storage.lock import DirectoryLock
from oxillama.storage.system import Disk

FILE_THREADS = 16  # file work waits for the disk, not for the processor

Trouble = Literal["full", "read_only"]


class DataDir:
    """The directory's path, its `Durable`, and `in_thread`, which runs blocking methods in worker threads."""

    def __init__(self, path: str, durable: Durable, in_thread: Offload) -> None:
        self.path = path
        self.durable = durable
        self.in_thread = in_thread

    async def trouble(self) -> Trouble | None:
        """Why changes are refused: `full` until there is space, `read_only` until a restart; None if they are not."""
        if self.durable.is_full:
            await self.in_thread(self._try_to_write)
        if self.durable.read_only_reason is not None:
            return "read_only"
        return "full" if self.durable.is_full else None

    def _try_to_write(self) -> None:
        """Check whether there is space again, because nothing else may have been written since."""
        probe = posixpath.join(self.path, ".probe")
        with contextlib.suppress(StoreError):
            self.durable.write_bytes(probe, bytes(4096))
            self.durable.remove_file(probe)


@contextlib.asynccontextmanager
async def open_data_dir(path: str | os.PathLike[str], *, disk: Disk | None = None) -> AsyncIterator[DataDir]:
    """Open a data directory, creating it if it is missing, and lock it until the block is left.

    Raises StoreError if it cannot be created or written, or if another process has locked it.
    """
    root, durable, in_thread = os.path.abspath(os.fspath(path)), Durable(disk), Offload(FILE_THREADS)
    await in_thread(durable.make_dir, root)
    with contextlib.closing(await in_thread(DirectoryLock, root, durable.disk)):
        yield DataDir(root, durable, in_thread)
