"""Records of vector stores: what was acknowledged survives, and what is in progress is found again."""

from __future__ import annotations

import errno
import os
import random

import pytest

from oxillama.errors import ObjectNotFoundError, StateConflictError, StoreError
from oxillama.storage.collection import Cut
from oxillama.storage.ids import new_id
from oxillama.vector_stores.records import DAY_S, FileBatch, FileCounts, VectorStore, VectorStoreFile
from oxillama.vector_stores.store import ACTIVE_STEP_S, VectorStoreRecords
from tests.support.simulated_disk import PowerCut, SimulatedDisk
from tests.support.stores import open_database


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def opened(disk: SimulatedDisk, clock: Clock | None = None) -> VectorStoreRecords:
    records = VectorStoreRecords("/data", open_database(disk), clock or Clock())
    records.clear()
    return records


def a_store(days: int | None = None) -> VectorStore:
    return VectorStore(id=new_id("vs"), created_at=1000, last_active_at=1000, expires_after_days=days)


def a_file(batch: str | None = None) -> VectorStoreFile:
    return VectorStoreFile(id=new_id("file", separator="-"), created_at=1000, batch_id=batch)


def contents(records: VectorStoreRecords) -> dict[str, dict[str, str]]:
    return {store.id: {file.id: file.status for file in records.files(store.id)} for store in records.all()}


def test_files_are_kept_in_order_and_those_in_progress_are_found_by_a_start() -> None:
    disk = SimulatedDisk()
    records = opened(disk)
    store, idle = records.create(a_store(), [a_file(), a_file()]), records.create(a_store())
    first, second = records.files(store.id)
    (third,) = records.add(store.id, [a_file()])
    assert records.settle(second, status="completed", usage_bytes=5)
    assert not records.settle(second, status="failed")
    for again in (records, opened(disk)):
        assert [file.id for file in again.files(store.id)] == [first.id, second.id, third.id]
        assert [file.id for file in again.unfinished()] == [first.id, third.id]
        assert again.counts(store.id) == (FileCounts(in_progress=2, completed=1, total=3), 5)
        assert [one.id for one in again.all()] == [store.id, idle.id]
        assert again.holders(third.id) == [store.id]
    records.remove(store.id, first.id)
    assert records.settle(third, status="failed")
    assert opened(disk).unfinished() == []
    records.delete(store.id)
    assert disk.listdir("/data/vector_stores") == [idle.id]
    with pytest.raises(ObjectNotFoundError, match="No vector store found with id"):
        opened(disk).files(store.id)


def test_a_cancelled_batch_leaves_what_was_read() -> None:
    disk = SimulatedDisk()
    records = opened(disk)
    store, batch_id = records.create(a_store()), new_id("vsfb")
    files = [a_file(batch_id) for _ in range(3)]
    batch = FileBatch(id=batch_id, created_at=1000, vector_store_id=store.id, file_ids=[file.id for file in files])
    added = records.add(store.id, files, batch)
    assert records.settle(added[0], status="completed")
    assert records.cancel(store.id, batch_id).cancelled
    assert not records.settle(added[1], status="completed")
    again = opened(disk)
    (other,) = again.add(store.id, [a_file()])
    kept, more = again.batch_page(store.id, batch_id, Cut(9, "asc"))
    assert ([file.status for file in kept], more) == (["completed", "cancelled", "cancelled"], False)
    assert again.batch_page(store.id, batch_id, Cut(1, tag="cancelled")) == ([kept[2]], True)
    assert again.batch_counts(batch) == FileCounts(completed=1, cancelled=2, total=3)
    assert again.file_page(store.id, Cut(2, "asc", after=added[1].id)) == ([kept[2], other], False)
    again.remove(store.id, other.id)
    assert again.unfinished() == []


def test_a_vector_store_expires_after_its_last_use() -> None:
    clock = Clock()
    records = opened(SimulatedDisk(), clock)
    store = records.create(a_store(days=1))
    clock.time += ACTIVE_STEP_S - 1
    assert records.touch(store.id).last_active_at == 1000
    clock.time += 1
    assert records.touch(store.id).expires_at == 1000 + ACTIVE_STEP_S + DAY_S
    clock.time += DAY_S - 1
    assert records.is_active(store.id)
    clock.time += 1
    assert not records.is_active(store.id)
    for refused in (lambda: records.require_active(store.id), lambda: records.add(store.id, [a_file()])):
        with pytest.raises(StateConflictError, match=f"Vector store {store.id} is expired"):
            refused()
    records.update(store.id, expires_after_days=None)
    assert records.is_active(store.id)


def changes(records: VectorStoreRecords, rng: random.Random, known: dict[str, dict[str, str]]) -> None:
    """A random change. `known`: what was acknowledged, brought up to date when the change is."""
    stores = list(known)
    what = rng.choice(["create", "add", "settle", "remove", "delete"]) if stores else "create"
    if what == "create":
        store = records.create(a_store(), [a_file() for _ in range(rng.randint(0, 2))])
        known[store.id] = {file.id: file.status for file in records.files(store.id)}
        return
    store_id = rng.choice(stores)
    files = records.files(store_id)
    if what == "add":
        (file,) = records.add(store_id, [a_file()])
        known[store_id][file.id] = "in_progress"
    elif what == "settle" and files:
        file = rng.choice(files)
        if records.settle(file, status="completed"):
            known[store_id][file.id] = "completed"
    elif what == "remove" and files:
        file = rng.choice(files)
        known[store_id].pop(file.id)
        records.remove(store_id, file.id)
    elif what == "delete":
        known.pop(store_id)
        records.delete(store_id)


@pytest.mark.parametrize("seed", range(60))
def test_a_power_cut_keeps_what_was_acknowledged(seed: int) -> None:
    rng = random.Random(seed)
    disk, known = SimulatedDisk(), dict[str, dict[str, str]]()
    records = opened(disk)
    disk.power_fails_at = disk.calls + rng.randint(1, 120)
    try:
        while True:
            changes(records, rng, known)
    except PowerCut:
        pass
    again = opened(disk.after_power_cut(rng))
    found = contents(again)
    for store_id, files in known.items():
        for file_id, status in files.items():
            assert found[store_id][file_id] == status or status == "in_progress"
    waiting = {(file.vector_store_id, file.id) for file in again.unfinished()}
    assert waiting == {
        (store_id, file_id) for store_id, files in found.items() for file_id, s in files.items() if s == "in_progress"
    }


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename", "unlink", "mkdir", "fsync_dir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_call_is_an_error_and_loses_nothing_acknowledged(call: str, code: int) -> None:
    for at in range(40):
        disk, rng, known = SimulatedDisk(), random.Random(at), dict[str, dict[str, str]]()
        records = opened(disk)
        for _ in range(8):
            changes(records, rng, known)
        seen = 0

        def fault(name: str, index: int, at: int = at) -> OSError | None:
            nonlocal seen
            seen += name == call
            return OSError(code, os.strerror(code)) if name == call and seen == at + 1 else None

        disk.fault = fault
        failed = False
        try:
            for _ in range(6):
                changes(records, rng, known)
        except StoreError:
            failed = True
        disk.fault = lambda name, index: None
        again = opened(disk.after_kill())
        found = contents(again)
        assert all(found[store_id].keys() >= files.keys() for store_id, files in known.items())
        if not failed:
            assert found == known == contents(records)
