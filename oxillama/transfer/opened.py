"""A data directory opened for a command, as a server opens it: locked, and with its unfinished runs settled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from oxillama.assistants.store.store import Store
from oxillama.files.service import Files
from oxillama.files.store import FileStore
from oxillama.storage.data_dir import open_data_dir
from oxillama.vector_stores.store import VectorStoreRecords


@dataclass(frozen=True, slots=True)
class Opened:
    """What a data directory holds. Methods block."""

    store: Store
    files: FileStore
    vector_stores: VectorStoreRecords


def with_data(directory: Path, work: Callable[[Opened], None]) -> None:
    """Call `work` with what the directory holds. Raises StoreError if a server has it open, and what `work` raises."""

    async def run() -> None:
        async with open_data_dir(directory) as data:
            store = await data.in_thread(Store, data.database)
            files = Files(data.path, data.database, store.now)
            await data.in_thread(files.clear)
            await data.in_thread(store.recover)
            vector_stores = await data.in_thread(VectorStoreRecords, data.path, data.database, store.now)
            await data.in_thread(vector_stores.clear)
            await data.in_thread(work, Opened(store, files.files, vector_stores))

    trio.run(run)
