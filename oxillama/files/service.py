"""Files and uploads of one data directory, and what removes those that have expired."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import trio

from oxillama.concurrency import open_nursery
from oxillama.errors import StoreError
from oxillama.files.store import FileStore
from oxillama.files.uploads import UploadStore

if TYPE_CHECKING:
    from oxillama.concurrency import Offload
    from oxillama.storage.data_dir import DataDir
    from oxillama.storage.database import Database

_log = logging.getLogger(__name__)

EXPIRY_INTERVAL_S = 600.0


class Files:
    """Files and uploads of one data directory."""

    def __init__(self, directory: str, database: Database, clock: Callable[[], float]) -> None:
        with database.change():  # one commit for new tables
            self.files = FileStore(directory, database, clock)
            self.uploads = UploadStore(directory, database, self.files)

    def clear(self) -> None:
        """Remove what a crash left behind. For the start, before anything else."""
        self.files.clear()
        self.uploads.clear()

    def expire(self) -> None:
        """Remove files and parts that have expired, and forget uploads that have been over for long."""
        self.files.expire()
        self.uploads.expire()


@contextlib.asynccontextmanager
async def open_files(data: DataDir, *, clock: Callable[[], float] = time.time) -> AsyncIterator[Files]:
    """The files of a data directory. Those that expire are removed until the block is left.

    clock: Unix seconds. Raises StoreError if the directory cannot be written.
    """
    files = await data.in_thread(Files, data.path, data.database, clock)
    await data.in_thread(files.clear)
    async with open_nursery() as nursery:
        nursery.start_soon(_expire, files, data.in_thread)
        try:
            yield files
        finally:
            nursery.cancel_scope.cancel()


async def _expire(files: Files, in_thread: Offload) -> None:
    while True:
        try:
            await in_thread(files.expire)
        except StoreError as error:
            _log.warning("expired files not removed: %s", error)
        await trio.sleep(EXPIRY_INTERVAL_S)
