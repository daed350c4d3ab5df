"""After a restart every run ends or runs again, and its step, its message and its thread agree with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oxillama.assistants.records import RunStatus, RunStepStatus, ThreadMessage, TokenUsage
from oxillama.assistants.records.transitions import MAX_ATTEMPTS, end_message
from oxillama.errors import StateConflictError
from tests.support.failing_disk import FailingDisk
from tests.support.records import NOW, a_message, a_run, a_step, a_thread
from tests.support.stores import damage, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from oxillama.assistants.records import Run
    from oxillama.assistants.store.store import Store

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
        return open_store(self.path, now=now)

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
    assert crashed.recovered() == ([], failed)


def test_a_run_that_has_ended_is_left_alone(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.IN_PROGRESS)
    ended = crashed.store.runs.update_status(crashed.thread_id, crashed.run.id, RunStatus.COMPLETED)
    assert crashed.recovered() == ([], ended)


@pytest.mark.parametrize("table", ["runs", "threads"])
def test_an_unfinished_run_that_cannot_be_read_does_not_keep_the_others_from_starting(
    tmp_path: Path, table: str
) -> None:
    broken, other = Crashed(tmp_path, RunStatus.QUEUED), Crashed(tmp_path, RunStatus.QUEUED)
    key = broken.run.id if table == "runs" else broken.thread_id
    damage(tmp_path, table, key, "{")
    assert open_store(tmp_path).recover() == [other.run]


def test_a_store_starts_on_a_full_disk(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, RunStatus.IN_PROGRESS, step=True, streamed=True)
    disk = FailingDisk()
    disk.full = True
    store = open_store(tmp_path, disk=disk)
    assert store.recover() == [crashed.run]
    assert len(store.messages.list(crashed.thread_id)) == 1
