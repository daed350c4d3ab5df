"""A run whose end cannot be stored still ends, and after a restart it has the end that its client saw."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.assistants.records import Run, RunStatus
from oxillama.assistants.records.transitions import NOT_STORED
from oxillama.assistants.run import events as ev
from oxillama.assistants.run.journal import Journal
from oxillama.assistants.run.outcome import Outcome
from oxillama.errors import StateConflictError, StoreError, StoreReadOnlyError
from oxillama.storage.system import SystemDisk
from tests.support.failing_disk import FailingDisk
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from trio.testing import MockClock

OpenClient = Any
ENDS = (ev.Completed, ev.Incomplete, ev.Failed, ev.Cancelled, ev.Expired)


def end(events: list[ev.RunEvent]) -> Run | None:
    """The ended run of the last event."""
    return next((event.run for event in events if isinstance(event, ENDS)), None)


async def after_restart(open_client: OpenClient, run: Run) -> tuple[Run, list[str]]:
    """The run and the answers in its thread after a restart."""
    async with open_client(FakeEngine(reply="again")) as client:
        await trio.sleep(20)
        return client.store.runs.get(run.thread_id, run.id), client.answers(run)


async def test_a_run_that_ends_on_a_full_disk_is_stored_when_there_is_space(
    clock: MockClock, open_client: OpenClient
) -> None:
    disk = FailingDisk()
    async with open_client(FakeEngine(reply="abc", delay_s=1), disk=disk) as client:
        run, _, subscription = await client.start("x")
        await trio.sleep(2)
        disk.full = True
        await trio.sleep(20)
        assert client.store.runs.get(run.thread_id, run.id).status is RunStatus.IN_PROGRESS
        disk.full = False
        shown = end([event async for event in subscription])
    stored, answers = await after_restart(open_client, run)
    assert (stored, stored.status, answers) == (shown, RunStatus.COMPLETED, ["abc"])


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_run_that_finds_no_space_for_long_fails_permanently(
    clock: MockClock, open_client: OpenClient, streamed: bool
) -> None:
    """Such a run must not keep its place in the queue forever, and must not run again after its client saw it fail."""
    disk = FailingDisk()
    async with open_client(FakeEngine(reply="abc", delay_s=1), disk=disk, max_runs=1) as client:
        run, _, subscription = await client.start("x", streamed=streamed)
        await trio.sleep(2)
        disk.full = True
        with trio.fail_after(600):
            shown = end([event async for event in subscription])
        assert shown is not None
        assert (shown.status, shown.last_error) == (RunStatus.FAILED, NOT_STORED)
        assert client.store.runs.get(run.thread_id, run.id) == shown
        disk.full = False
        assert (await client.done("y"))[0].status is RunStatus.COMPLETED
    stored, answers = await after_restart(open_client, run)
    assert (stored.status, stored.last_error, stored.usage) == (shown.status, shown.last_error, shown.usage)
    assert answers == []


class FailingRename(SystemDisk):
    """Replacing a file fails the given number of times; messages can still be appended."""

    failures = 0

    def rename(self, source: str, target: str) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().rename(source, target)


@pytest.mark.parametrize("failures", [1, 2, 1000])
async def test_a_stored_answer_decides_how_its_run_ended(
    clock: MockClock, open_client: OpenClient, failures: int
) -> None:
    disk = FailingRename()
    async with open_client(FakeEngine(reply="abc", delay_s=1), disk=disk) as client:
        run, _, subscription = await client.start("x")
        await trio.sleep(2)
        disk.failures = failures
        shown = end([event async for event in subscription])
        assert shown is not None
        assert shown.status is RunStatus.COMPLETED
        disk.failures = 0
    stored, answers = await after_restart(open_client, run)
    assert (stored.status, stored.usage, answers) == (shown.status, shown.usage, ["abc"])


@pytest.mark.parametrize("streamed", [True, False])
async def test_no_end_is_announced_if_the_restart_will_decide_it(
    clock: MockClock, open_client: OpenClient, streamed: bool
) -> None:
    """After a failed fsync the answer may be on disk, and a start may find it."""
    disk = FailingDisk()
    async with open_client(FakeEngine(reply="abc", delay_s=1), disk=disk) as client:
        run, _, subscription = await client.start("x", streamed=streamed)
        await trio.sleep(2)
        disk.broken = True
        assert end([event async for event in subscription]) is None
        with pytest.raises(StoreReadOnlyError):
            client.store.runs.get(run.thread_id, run.id)
    stored, answers = await after_restart(open_client, run)
    assert (stored.status, answers) == (RunStatus.COMPLETED, ["abc"])


async def test_a_run_that_cannot_be_given_up_is_resumed_by_the_next_start(
    clock: MockClock, open_client: OpenClient
) -> None:
    disk = FailingDisk()
    async with open_client(FakeEngine(reply="abc", delay_s=1), disk=disk) as client:
        run, _, subscription = await client.start("x", streamed=False)
        await trio.sleep(2)
        disk.stuck = True
        assert end([event async for event in subscription]) is None
        with pytest.raises(StoreError, match="taken up again by the next start"):
            client.store.runs.get(run.thread_id, run.id)
    stored, answers = await after_restart(open_client, run)
    assert (stored.status, answers) == (RunStatus.COMPLETED, ["again"])


async def test_a_run_that_the_store_does_not_let_end_is_given_up(
    clock: MockClock, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would work on it any more, and its thread would be locked until a restart."""

    async def refused(journal: Journal, outcome: Outcome) -> None:
        raise StateConflictError("an older run is active")

    async with open_client(FakeEngine(reply="abc")) as client:
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "finish", refused)
            run, events = await client.done("x")
        assert run.status is RunStatus.FAILED
        assert end(events) == client.store.runs.get(run.thread_id, run.id)
        assert (await client.done("y"))[0].status is RunStatus.COMPLETED
