"""The store keeps objects in the documented tables, and refuses changes that the state of a thread or run forbids."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Literal

import msgspec
import pytest

from oxillama.assistants.records import RunStatus, RunStepStatus
from oxillama.errors import InvalidParameterError, ObjectNotFoundError, StateConflictError, StoreDamagedError
from oxillama.storage.collection import Cut
from oxillama.storage.ids import is_id, new_id
from tests.support.records import NOW, a_message, a_run, a_step, a_thread
from tests.support.stores import damage, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from oxillama.assistants.records import ThreadMessage
    from oxillama.assistants.store.store import Store


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


def test_the_tables_are_the_documented_ones(store: Store, tmp_path: Path) -> None:
    """Operators and other programs may read them."""
    thread = store.threads.create(a_thread())
    run = store.runs.create(a_run(thread.id), [a_message("Hi")])
    step = store.steps.append(a_step(run))
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as database:
        for table, owner in {"threads": "", "messages": thread.id, "runs": thread.id, "steps": run.id}.items():
            ((found, data),) = database.execute(f"SELECT owner, data FROM {table}").fetchall()
            assert (found, json.loads(data)["created_at"]) == (owner, NOW)
        assert database.execute("SELECT data ->> 'status', tag FROM runs").fetchall() == [("queued", "open")]
        assert database.execute("SELECT id FROM steps").fetchall() == [(step.id,)]
        assert database.execute("PRAGMA user_version").fetchone() == (1,)


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
    written = {p: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".db-shm"}

    assert store.threads.update(thread.id, metadata={"k": "v"}) == thread
    assert store.messages.update(thread.id, message.id) == message
    assert store.runs.update(thread.id, run.id, metadata={}) == run

    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".db-shm"} == written


def test_a_deleted_thread_is_gone_with_all_its_bytes(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread(), [a_message("a secret")])
    run = store.runs.create(a_run(thread.id, instructions="a secret"))
    store.steps.append(a_step(run))
    store.threads.delete(thread.id)
    with pytest.raises(ObjectNotFoundError, match="No thread found"):
        store.messages.list(thread.id)
    again = open_store(tmp_path)
    assert again.recover() == []
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as database:
        for table in ("threads", "messages", "runs", "steps"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in tmp_path.iterdir():
        assert b"a secret" not in file.read_bytes(), file
        assert thread.id.encode() not in file.read_bytes(), file


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


GARBAGE = ["", "{", "\0" * 50, "[]", '{"id": 3}', "\ufffd", "[" * 100_000]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_one_damaged_object_affects_only_that_object(store: Store, tmp_path: Path, garbage: str) -> None:
    bad, good = store.threads.create(a_thread()), store.threads.create(a_thread())
    old = store.runs.create(a_run(good.id))
    store.runs.update_status(good.id, old.id, RunStatus.COMPLETED)
    run = store.runs.create(a_run(good.id))
    step = store.steps.append(a_step(run))
    for table, damaged in (("threads", bad), ("runs", old), ("steps", step)):
        damage(tmp_path, table, damaged.id, garbage)

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
    again.threads.delete(bad.id)
    with pytest.raises(ObjectNotFoundError):
        again.threads.get(bad.id)


def test_a_changed_byte_is_noticed(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread(metadata={"k": "v"}))
    damage(tmp_path, "threads", thread.id, json.dumps({"created_at": NOW, "metadata": {"k": "w"}}), crc32=1)
    with pytest.raises(StoreDamagedError, match="checksum"):
        open_store(tmp_path).threads.get(thread.id)


def test_a_damaged_message_is_never_left_out_of_its_thread(store: Store, tmp_path: Path) -> None:
    """A prompt without it would mislead."""
    thread = store.threads.create(a_thread(), [a_message("a"), a_message("b")])
    first, second = store.messages.list(thread.id)
    damage(tmp_path, "messages", first.id, "{")
    with pytest.raises(StoreDamagedError, match=first.id):
        store.messages.list(thread.id)
    assert store.messages.get(thread.id, second.id) == second
    store.messages.delete(thread.id, first.id)
    assert store.messages.list(thread.id) == [second]


def test_a_prompt_reads_the_ends_of_a_thread(store: Store, tmp_path: Path) -> None:
    thread = store.threads.create(a_thread(), [a_message(str(n)) for n in range(9)])
    run = store.runs.create(a_run(thread.id))
    store.messages.append(thread.id, msgspec.structs.replace(a_message("mine"), run_id=run.id))
    middle = store.messages.list(thread.id)[4].id

    def texts(most: int) -> list[str]:
        return [message.text_content for message in store.messages.for_prompt(thread.id, run.id, most)]

    assert texts(9) == texts(99) == [str(n) for n in range(9)]
    assert texts(8) == [str(n) for n in range(9)]
    damage(tmp_path, "messages", middle, "{")
    assert texts(3) == ["0", "6", "7", "8"]
    with pytest.raises(StoreDamagedError, match=middle):
        texts(5)


def test_pages_follow_each_other_in_both_orders(store: Store) -> None:
    thread = store.threads.create(a_thread(), [a_message(str(n), created_at=NOW + n // 3) for n in range(10)])
    everything = store.messages.list(thread.id)
    orders: dict[Literal["asc", "desc"], list[ThreadMessage]] = {"asc": everything, "desc": everything[::-1]}
    for order, expected in orders.items():
        found: list[ThreadMessage] = []
        more, after = True, None
        while more:
            page, more = store.messages.page(thread.id, Cut(limit=4, order=order, after=after))
            found += page
            after = found[-1].id
        assert found == expected
        last, more = store.messages.page(thread.id, Cut(limit=4, order=order, before=expected[7].id))
        assert (last, more) == (expected[3:7], True)
        between = Cut(limit=9, order=order, after=expected[1].id, before=expected[4].id)
        assert store.messages.page(thread.id, between) == (expected[2:4], False)
    other = store.threads.create(a_thread(), [a_message()])
    with pytest.raises(InvalidParameterError, match="Invalid 'after': no item with id") as caught:
        store.messages.page(other.id, Cut(limit=1, after=everything[0].id))
    assert caught.value.param == "after"


def test_a_page_can_be_of_one_runs_messages(store: Store) -> None:
    thread = store.threads.create(a_thread(), [a_message() for _ in range(3)])
    run = store.runs.create(a_run(thread.id))
    answer = store.messages.append(thread.id, msgspec.structs.replace(a_message(), run_id=run.id, role="assistant"))
    assert store.messages.page(thread.id, Cut(limit=2, tag=run.id)) == ([answer], False)
    assert store.messages.page(thread.id, Cut(limit=2, tag="run_x")) == ([], False)


def test_a_refused_thread_with_a_run_leaves_nothing(store: Store) -> None:
    first, other = a_thread(), a_thread()
    run = a_run(first.id)
    store.create_thread_and_run(first, [a_message()], run)
    with pytest.raises(ObjectNotFoundError):
        store.create_thread_and_run(other, [a_message()], a_run(new_id("thread")))
    with pytest.raises(ObjectNotFoundError):
        store.threads.get(other.id)
    assert store.runs.active(first.id) == run
