"""An open data directory: locked for this process, with one `Durable` for everything that is stored in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Literal

from oxillama.concurrency import Offload
from oxillama.storage.database import Database, Durability
from oxillama.storage.durable import Durable
from oxillama.storage.lock import DirectoryLock
from oxillama.storage.system import Disk

FILE_THREADS = 16  # file work waits for the disk, not for the processor

Trouble = Literal["full", "read_only"]


class DataDir:
    """The directory's path, its database, its `Durable`, and `in_thread`, which runs blocking methods in threads."""

    def __init__(self, path: str, database: Database, in_thread: Offload) -> None:
        self.path = path
        self.database = database
        self.durable = database.durable
        self.in_thread = in_thread

    async def trouble(self) -> Trouble | None:
        """Why changes are refused: `full` until there is space, `read_only` until a restart; None if they are not."""
        if self.durable.is_full:
            await self.in_thread(self.durable.try_to_write, self.path)
        if self.durable.read_only_reason is not None:
            return "read_only"
        return "full" if self.durable.is_full else None


@contextlib.asynccontextmanager
async def open_data_dir(
    path: str | os.PathLike[str], *, durability: Durability = "full", disk: Disk | None = None
) -> AsyncIterator[DataDir]:
    """Open a data directory, creating it if it is missing, and lock it until the block is left.

    Raises StoreError if it cannot be created or written, if another process has locked it, or if a newer version has
    written it.
    """
    root, durable, in_thread = os.path.abspath(os.fspath(path)), Durable(disk), Offload(FILE_THREADS)
    await in_thread(durable.make_dir, root)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(await in_thread(DirectoryLock, root, durable.disk)))
        database = stack.enter_context(contextlib.closing(await in_thread(Database, root, durable, durability)))
        yield DataDir(root, database, in_thread)
