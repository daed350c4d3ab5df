"""A server that is killed at any step of reading a file: the next start finishes, and each passage is there once."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from oxillama.concurrency import Offload
from oxillama.files.records import StoredFile
from oxillama.files.service import Files, open_files
from oxillama.storage.data_dir import open_data_dir
from oxillama.storage.ids import new_id
from oxillama.vector_stores.index import Index
from oxillama.vector_stores.passages import SearchOptions
from oxillama.vector_stores.records import Chunking, VectorStore, VectorStoreFile
from oxillama.vector_stores.service import VectorStores, open_vector_stores
from oxillama.vector_stores.store import VectorStoreRecords
from tests.support.fake_engine import FakeEngine

TEXT = " ".join(f"Sentence {n} is about otters." for n in range(120))
ALL = SearchOptions(max_num_results=50, patience=60.0)


class Killings:
    """Copies of a data directory, as a server that is killed at these moments leaves it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.copies: list[Path] = []
        self.recording = False

    def note(self) -> None:
        if self.recording:
            self.copies.append(self.data.with_name(f"killed-{len(self.copies)}"))
            shutil.copytree(self.data, self.copies[-1])


def noting(killings: Killings, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        killings.note()
        return result

    return call


@pytest.fixture
def killings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killings:
    """The directory is copied after each call of the store and each change of the index."""
    found = Killings(tmp_path)

    async def inline(self: Offload, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return noting(found, function)(*args, **kwargs)

    monkeypatch.setattr(Offload, "__call__", inline)
    for owner, name in ((Index, "replace"), (Index, "remove"), (Index, "_put_vectors"), (VectorStoreRecords, "settle")):
        monkeypatch.setattr(owner, name, noting(found, getattr(owner, name)))
    return found


async def opened(stack: AsyncExitStack, folder: Path) -> tuple[Files, VectorStores]:
    data = await stack.enter_async_context(open_data_dir(folder))
    files = await stack.enter_async_context(open_files(data))
    return files, await stack.enter_async_context(open_vector_stores(data, files.files, FakeEngine()))


def added(files: Files) -> StoredFile:
    file = StoredFile(
        id=new_id("file", separator="-"), created_at=1, filename="a.txt", purpose="assistants", bytes=len(TEXT)
    )
    content = files.files.begin(file.id)
    content.write(TEXT.encode())
    return files.files.finish(file, content)


async def passages(stores: VectorStores, store_id: str) -> list[tuple[str, int]]:
    with trio.fail_after(60):
        return sorted((one.file_id, one.place.number) for one in await stores.search([store_id], "otters", ALL))


def rows(folder: Path, store_id: str) -> int:
    with closing(sqlite3.connect(folder / "vector_stores" / store_id / "index.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM passages").fetchone()[0])


async def test_every_kill_while_a_file_is_read_is_made_good(killings: Killings) -> None:
    async with AsyncExitStack() as stack:
        files, stores = await opened(stack, killings.data)
        file = added(files)
        new = VectorStore(id=new_id("vs"), created_at=1, last_active_at=1)
        store = await stores.create(new)
        killings.recording = True
        await stores.add(store.id, [VectorStoreFile(id=file.id, created_at=1, chunking=Chunking(100, 50))])
        wanted = await passages(stores, store.id)
        killings.recording = False
    assert 10 <= len(wanted) == rows(killings.data, store.id)
    assert len(killings.copies) >= 8
    for copy in killings.copies:
        async with AsyncExitStack() as stack:
            _, stores = await opened(stack, copy)
            known = stores.records.files(store.id)
            found = await passages(stores, store.id)
            if known:
                assert found == wanted
                assert stores.records.file(store.id, file.id).status == "completed"
                assert rows(copy, store.id) == len(wanted)


async def test_every_kill_while_a_file_is_removed_leaves_it_whole_or_gone(killings: Killings) -> None:
    async with AsyncExitStack() as stack:
        files, stores = await opened(stack, killings.data)
        file = added(files)
        new = VectorStore(id=new_id("vs"), created_at=1, last_active_at=1)
        store = await stores.create(new, [VectorStoreFile(id=file.id, created_at=1, chunking=Chunking(100, 50))])
        wanted = await passages(stores, store.id)
        killings.recording = True
        await stores.remove(store.id, file.id)
        killings.recording = False
    assert len(killings.copies) >= 2
    for copy in killings.copies:
        async with AsyncExitStack() as stack:
            _, stores = await opened(stack, copy)
            await passages(stores, store.id)  # finds that the index has lost it
            found = await passages(stores, store.id)
            assert found == (wanted if stores.records.files(store.id) else [])
            assert rows(copy, store.id) == len(found)
