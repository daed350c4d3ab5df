"""The store keeps objects where the layout says, and refuses changes that the state of a thread or run forbids."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from oxillama.assistants.records import RunStatus, RunStepStatus
from oxillama.assistants.store.store import Store
from oxillama.errors import ObjectNotFoundError, StateConflictError, StoreDamagedError
from oxillama.storage.durable import Durable
from oxillama.storage.ids import is_id, new_id
from tests.support.records import NOW, a_message, a_run, a_step, a_thread
from tests.support.simulated_disk import CountingDisk

if TYPE_CHECKING:
    from pathlib import Path


def open_store(path: Path) -> Store:
    return Store(str(path), clock=lambda: NOW)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def test_everything_is_readable_by_the_next_process(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread(metadata={"k": "v"}), [a_message("one")])
    two = store.messages.append(thread.id, a_message("two"))
    run = store.runs.create(a_run(thread.id), [a_message("three")])
    step = store.steps.append(a_step(run))
    again = open_store(tmp_path)
    again.recover()
    assert again.threads.get(thread.id) == thread
    assert [m.text_content for m in again.messages.list(thread.id)] == ["one", "two", "three"]
    assert again.messages.get(thread.id, two.id) == two
    assert again.runs.get(thread.id, run.id) == run
    assert again.steps.get(thread.id, run.id, step.id) == step


def test_the_layout_on_disk_is_the_documented_one(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread())
    run = store.runs.create(a_run(thread.id), [a_message()])
    step = store.steps.append(a_step(run))
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    home = f"threads/{thread.id}"
    assert files == [
        f"active/{run.id}.json",
        f"{home}/messages.jsonl",
        f"{home}/meta.json",
        f"{home}/runs/{run.id}/status.json",
        f"{home}/runs/{run.id}/steps/{step.id}.json",
    ]
    assert json.loads((tmp_path / home / "runs" / run.id / "status.json").read_text())["status"] == "queued"


@pytest.mark.parametrize(
    "thread_id", ["../../etc", "thread_", "thread_" + "a" * 15, "run_" + "a" * 24, "", "thread_a/b"]
)
def test_an_invalid_id_never_becomes_part_of_a_path(store: Store, thread_id: str) -> None:
    with pytest.raises(ObjectNotFoundError, match="No thread found with id"):
        store.threads.get(thread_id)
    thread = store.threads.create(a_thread())
    with pytest.raises(ObjectNotFoundError, match="No run found with id"):
        store.runs.get(thread.id, f"../{thread_id}")


def test_new_ids_are_well_formed_and_differ() -> None:
    ids = {new_id("msg") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(is_id(i, "msg") and len(i) == 28 for i in ids)


def test_an_active_run_locks_its_thread(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread())
    run = store.runs.create(a_run(thread.id))
    with pytest.raises(StateConflictError) as refused:
        store.messages.append(thread.id, a_message())
    assert str(refused.value) == f"Can't add messages to {thread.id} while a run {run.id} is active."
    with pytest.raises(StateConflictError) as refused:
        store.runs.create(a_run(thread.id), [a_message()])
    assert str(refused.value) == f"Thread {thread.id} already has an active run {run.id}."
    assert open_store(tmp_path).messages.list(thread.id) == []


@pytest.mark.parametrize("status", [s for s in RunStatus if s.is_terminal])
def test_a_run_that_has_ended_frees_its_thread_and_stays_ended(
    store: Store, tmp_path: Path, status: RunStatus
) -> None:
    thread = store.threads.create(a_thread())
    run = store.runs.create(a_run(thread.id))
    ended = store.runs.update_status(thread.id, run.id, status)
    assert ended.expires_at is None
    store.messages.append(thread.id, a_message())
    with pytest.raises(StateConflictError, match=f"has ended with status '{status}'"):
        store.runs.update_status(thread.id, run.id, RunStatus.IN_PROGRESS)
    assert open_store(tmp_path).runs.get(thread.id, run.id).status is status


def test_only_the_active_run_may_add_its_message_and_only_once(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread())
    run = store.runs.create(a_run(thread.id))
    answer = msgspec.structs.replace(a_message(), run_id=run.id, role="assistant")
    assert store.messages.append(thread.id, answer) == store.messages.append(thread.id, answer)
    assert len(open_store(tmp_path).messages.list(thread.id)) == 1


def test_messages_keep_their_order_when_the_clock_goes_back(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread(), [a_message("a", created_at=NOW)])
    store.messages.append(thread.id, a_message("b", created_at=NOW - 100))
    for each in (store, open_store(tmp_path)):
        messages = each.messages.list(thread.id)
        assert [m.text_content for m in messages] == ["a", "b"]
        assert [m.created_at for m in messages] == [NOW, NOW]


def test_a_message_can_be_changed_and_deleted_for_good(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread(), [a_message("a"), a_message("b")])
    a, b = store.messages.list(thread.id)
    store.messages.update(thread.id, a.id, metadata={"k": "v"})
    store.messages.delete(thread.id, b.id)
    for each in (store, open_store(tmp_path)):
        assert [(m.id, m.metadata) for m in each.messages.list(thread.id)] == [(a.id, {"k": "v"})]
        with pytest.raises(ObjectNotFoundError, match="No message found with id"):
            each.messages.get(thread.id, b.id)


def test_an_update_without_changes_writes_nothing(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread(metadata={"k": "v"}), [a_message()])
    (message,), run = store.messages.list(thread.id), store.runs.create(a_run(thread.id))
    written = {p: (p.stat().st_ino, p.stat().st_size) for p in tmp_path.rglob("*") if p.is_file()}

    assert store.threads.update(thread.id, metadata={"k": "v"}) == thread
    assert store.messages.update(thread.id, message.id) == message
    assert store.runs.update(thread.id, run.id, metadata={}) == run

    assert {p: (p.stat().st_ino, p.stat().st_size) for p in tmp_path.rglob("*") if p.is_file()} == written


def test_a_deleted_thread_is_gone_with_its_run(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread(), [a_message()])
    store.runs.create(a_run(thread.id))
    store.threads.delete(thread.id)
    with pytest.raises(ObjectNotFoundError, match="No thread found"):
        store.messages.list(thread.id)
    assert open_store(tmp_path).recover() == []
    assert list((tmp_path / "threads").iterdir()) == []


def test_runs_and_steps_keep_the_order_of_their_creation(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread())
    runs = []
    for _ in range(5):
        run = store.runs.create(a_run(thread.id))
        steps = [store.steps.append(a_step(run)) for _ in range(3)]
        assert store.steps.list(thread.id, run.id) == steps
        runs.append(store.runs.update_status(thread.id, run.id, RunStatus.COMPLETED))
    assert store.runs.list(thread.id) == runs
    assert open_store(tmp_path).runs.list(thread.id) == runs


def test_a_step_ends_with_the_time_of_its_status(store: Store) -> None:
    thread = store.threads.create(a_thread())
    run = store.runs.create(a_run(thread.id))
    step = store.steps.append(a_step(run))
    ended = store.steps.update_status(thread.id, run.id, step.id, RunStepStatus.CANCELLED)
    assert (ended.cancelled_at, ended.completed_at, ended.expires_at) == (NOW, None, None)
    assert store.steps.get(thread.id, run.id, step.id) == ended


@pytest.mark.parametrize("garbage", [b"", b"{", b"\0" * 50, b"[]", b'{"id": 3}', b"\xff\xff", b"[" * 100_000])
def test_one_damaged_file_affects_only_that_object(store: Store, tmp_path: Path, garbage: bytes) -> None:
    bad = store.threads.create(a_thread())
    good = store.threads.create(a_thread())
    old = store.runs.create(a_run(good.id))
    store.runs.update_status(good.id, old.id, RunStatus.COMPLETED)
    run = store.runs.create(a_run(good.id))
    step = store.steps.append(a_step(old))
    (tmp_path / "threads" / bad.id / "meta.json").write_bytes(garbage)
    (tmp_path / "threads" / good.id / "runs" / old.id / "status.json").write_bytes(garbage)
    (tmp_path / "threads" / good.id / "runs" / run.id / "steps" / f"{step.id}.json").write_bytes(garbage)

    again = open_store(tmp_path)
    assert again.recover() == [run]
    with pytest.raises(StoreDamagedError, match=bad.id):
        again.threads.get(bad.id)
    with pytest.raises(StoreDamagedError, match=old.id):
        again.runs.get(good.id, old.id)
    with pytest.raises(StoreDamagedError, match=step.id):
        again.steps.get(good.id, run.id, step.id)
    assert again.runs.list(good.id) == [run]
    assert again.steps.list(good.id, run.id) == []


def test_a_copied_thread_directory_is_a_separate_thread(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread(), [a_message()])
    other = new_id("thread")
    shutil.copytree(tmp_path / "threads" / thread.id, tmp_path / "threads" / other)
    assert store.threads.get(other).id == other
    assert store.messages.list(other)[0].thread_id == other


def test_threads_unused_for_long_leave_the_cache_and_are_loaded_again() -> None:
    disk = CountingDisk()
    store = Store("/data", Durable(disk), clock=lambda: NOW, cache_bytes=20_000)
    threads = [store.threads.create(a_thread(), [a_message(str(n))]) for n in range(20)]
    for n, thread in enumerate(threads):
        assert store.messages.list(thread.id)[0].text_content == str(n)
    disk.reads = 0
    assert store.messages.list(threads[-1].id)[0].text_content == "19"
    assert disk.reads == 0
    assert store.messages.list(threads[0].id)[0].text_content == "0"
    assert disk.reads > 0
