"""After a restart every run ends or runs again, and its step, its message and its thread agree with it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING
from unittest.mock import Mock

import msgspec
import pytest

from oxillama.assistants.records import RunStatus, RunStepStatus, ThreadMessage, TokenUsage
from oxillama.assistants.records.transitions import MAX_ATTEMPTS, end_message
from oxillama.assistants.store.store import Store
from oxillama.errors import StateConflictError
from oxillama.storage.durable import Durable
from oxillama.storage.system import SystemDisk
from tests.support.records import NOW, a_message, a_run, a_step, a_thread

if TYPE_CHECKING:
    from pathlib import Path

    from oxillama.assistants.records import Run

USAGE = TokenUsage(3, 4, 7)


class Crashed:
    """A store whose process died while a run was in some state."""

    def __init__(self, path: Path, status: RunStatus, *, step: bool = False, streamed: bool = False, attempts: int = 1):
        self.path = path
        store = self.open()
        self.thread_id = store.threads.create(a_thread(), [a_message()]).id
        run = store.runs.create(a_run(self.thread_id, streamed=streamed))
        self.run = store.runs.update_status(self.thread_id, run.id, status, attempts=attempts)
        self.step = store.steps.append(a_step(self.run)) if step else None
        self.store = store

    def open(self, now: int = NOW) -> Store:
        return Store(str(self.path), clock=lambda: now)

    def answer(self, ended: RunStatus) -> None:
        assert self.step is not None
        message = ThreadMessage.new_assistant(self.step.message_id or "", self.run, NOW)
        self.store.messages.append(self.thread_id, end_message(message, "Hi", ended, NOW, USAGE))

    def recovered(self, now: int = NOW) -> tuple[list[Run], Run]:
        store = self.open(now)
        queued = store.recover()
        self.store = store
        return queued, store.runs.get(self.thread_id, self.run.id)


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.IN_PROGRESS])
def test_a_run_that_emitted_nothing_is_executed_again(tmp_path: Path, status: RunStatus) -> None:
    crashed = Crashed(tmp_path, status)
    queued, run = crashed.recovered()
    assert queued == [run]
    assert run.status is RunStatus.QUEUED
    assert crashed.recovered() == (queued, run)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_run_is_executed_again_even_if_it_had_begun_to_write(tmp_path: Path, streamed: bool) -> None:
    queued, run = Crashed(tmp_path, RunStatus.IN_PROGRESS, step=True, streamed=streamed).recovered()
    assert queued == [run]


@pytest.mark.parametrize("streamed", [True, False])
def test_a_run_that_keeps_failing_ends_with_an_error(tmp_path: Path, streamed: bool) -> None:
    crashed = Crashed(tmp_path, RunStatus.IN_PROGRESS, step=True, streamed=streamed, attempts=MAX_ATTEMPTS)
    queued, run = crashed.recovered()
    assert queued == []
    assert run.status is RunStatus.FAILED
    assert run.last_error is not None
    assert run.last_error.code == "server_error"
    step = crashed.store.steps.list(run.thread_id, run.id)[0]
    assert (step.status, step.last_error) == (RunStepStatus.FAILED, run.last_error)
    crashed.store.messages.append(run.thread_id, a_message())


@pytest.mark.parametrize(
    ("ended", "step_status"),
    [
        (RunStatus.COMPLETED, RunStepStatus.COMPLETED),
        (RunStatus.INCOMPLETE, RunStepStatus.COMPLETED),
        (RunStatus.CANCELLED, RunStepStatus.CANCELLED),
        (RunStatus.EXPIRED, RunStepStatus.EXPIRED),
        (RunStatus.FAILED, RunStepStatus.FAILED),
    ],
)
@pytest.mark.parametrize("status", [RunStatus.IN_PROGRESS, RunStatus.CANCELLING])
def test_the_stored_message_decides(
    tmp_path: Path, status: RunStatus, ended: RunStatus, step_status: RunStepStatus
) -> None:
    crashed = Crashed(tmp_path, status, step=True)
    crashed.answer(ended)
    queued, run = crashed.recovered()
    assert queued == []
    assert (run.status, run.usage, run.expires_at) == (ended, USAGE, None)
    assert crashed.store.steps.list(run.thread_id, run.id)[0].status is step_status
    assert crashed.store.steps.list(run.thread_id, run.id)[0].usage == USAGE
    assert len(crashed.store.messages.list(run.thread_id)) == 2


def test_a_run_being_cancelled_is_cancelled(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.CANCELLING, step=True)
    queued, run = crashed.recovered()
    assert (queued, run.status, run.cancelled_at) == ([], RunStatus.CANCELLED, NOW)
    assert crashed.store.steps.list(run.thread_id, run.id)[0].status is RunStepStatus.CANCELLED


def test_a_run_that_expired_while_the_server_was_down_has_expired(tmp_path: Path) -> None:
    queued, run = Crashed(tmp_path, RunStatus.IN_PROGRESS).recovered(now=NOW + 601)
    assert (queued, run.status) == ([], RunStatus.EXPIRED)
    assert run.last_error is not None


def test_waiting_for_a_worker_does_not_count_towards_the_expiry(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.QUEUED)
    queued, run = crashed.recovered(now=NOW + 10_000)
    assert (queued, run.status) == ([run], RunStatus.QUEUED)
    begun = crashed.store.runs.begin(run.thread_id, run.id, 600)
    assert (begun.started_at, begun.expires_at) == (NOW + 10_000, NOW + 10_600)


def test_a_run_that_waits_for_its_client_keeps_waiting(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.REQUIRES_ACTION, step=True)
    queued, run = crashed.recovered()
    assert (queued, run) == ([crashed.run], crashed.run)  # a worker ends it when it expires
    with pytest.raises(StateConflictError):
        crashed.store.messages.append(crashed.thread_id, a_message())
    crashed.store.runs.request_cancel(crashed.thread_id, run.id)
    assert crashed.store.runs.release(crashed.thread_id, run.id).status is RunStatus.CANCELLED
    crashed.store.messages.append(crashed.thread_id, a_message())


def test_a_run_that_waited_for_its_client_too_long_has_expired(tmp_path: Path) -> None:
    queued, run = Crashed(tmp_path, RunStatus.REQUIRES_ACTION, step=True).recovered(now=NOW + 601)
    assert (queued, run.status) == ([], RunStatus.EXPIRED)


def test_a_run_whose_end_differs_from_its_answer_keeps_the_announced_end(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.IN_PROGRESS, step=True)
    crashed.answer(RunStatus.COMPLETED)
    failed = crashed.store.runs.update_status(crashed.thread_id, crashed.run.id, RunStatus.FAILED)
    marker = tmp_path / "active" / f"{failed.id}.json"
    marker.write_bytes(msgspec.json.encode({"thread_id": crashed.thread_id}))
    assert crashed.recovered() == ([], failed)


def test_a_run_that_has_ended_is_left_alone_and_its_marker_removed(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.IN_PROGRESS)
    ended = crashed.store.runs.update_status(crashed.thread_id, crashed.run.id, RunStatus.COMPLETED)
    marker = tmp_path / "active" / f"{ended.id}.json"
    marker.write_bytes(msgspec.json.encode({"thread_id": crashed.thread_id}))
    queued, run = crashed.recovered()
    assert (queued, run) == ([], ended)
    assert not marker.exists()


def test_a_run_without_its_marker_does_not_lock_its_thread_forever(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.IN_PROGRESS)
    (tmp_path / "active" / f"{crashed.run.id}.json").unlink()
    queued, run = crashed.recovered()
    assert (queued, run.status) == ([], RunStatus.FAILED)
    crashed.store.messages.append(crashed.thread_id, a_message())


@pytest.mark.parametrize(
    "marker", [b"", b"{}", b'{"thread_id":"../../x"}', b'{"thread_id":"thread_aaaaaaaaaaaaaaaaaaaaaaaa"}']
)
def test_a_marker_of_a_missing_run_is_removed(tmp_path: Path, marker: bytes) -> None:
    store = Store(str(tmp_path))
    (tmp_path / "active" / "run_aaaaaaaaaaaaaaaaaaaaaaaa.json").write_bytes(marker)
    assert store.recover() == []
    assert list((tmp_path / "active").iterdir()) == []


def test_unfinished_files_of_a_crash_are_removed(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for name in (".tmp-thread_x", ".trash-thread_y"):
        (tmp_path / "threads" / name / "runs").mkdir(parents=True)
        (tmp_path / "threads" / name / "meta.json").write_text("{}")
    store.recover()
    assert list((tmp_path / "threads").iterdir()) == []


def test_a_store_starts_on_a_full_disk(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.IN_PROGRESS, step=True, streamed=True)
    disk = SystemDisk()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    disk.write = Mock(side_effect=full)
    store = Store(str(tmp_path), Durable(disk), clock=lambda: NOW)
    assert store.recover() == [crashed.run]
    assert len(store.messages.list(crashed.thread_id)) == 1


def test_a_stray_run_does_not_lock_its_thread_when_its_end_cannot_be_stored(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.IN_PROGRESS)
    (tmp_path / "active" / f"{crashed.run.id}.json").unlink()
    durable = Durable()
    store = Store(str(tmp_path), durable, clock=lambda: NOW)
    durable.read_only_reason = "an fsync failed"
    assert store.runs.get(crashed.thread_id, crashed.run.id).status is RunStatus.FAILED


def test_temporary_files_of_an_unfinished_run_are_removed(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.IN_PROGRESS, step=True)
    thread = tmp_path / "threads" / crashed.thread_id
    run = thread / "runs" / crashed.run.id
    left = [
        thread / ".meta.json.tmp",
        run.parent / ".tmp-run_x" / "status.json",
        run / ".status.json.tmp",
        run / "steps" / ".step_x.json.tmp",
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"{")
    crashed.recovered()
    assert list(thread.rglob(".*")) == []
