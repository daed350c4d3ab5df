"""A power cut, a kill, a full disk or a failing call at every single step of a workload."""

from __future__ import annotations

import contextlib
import errno
import os
import random

import pytest

from oxillama.assistants.records import RunStatus
from oxillama.errors import ObjectNotFoundError, StoreError, StoreFullError, StoreReadOnlyError
from oxillama.storage.reserve import SIZE
from tests.support.places import at
from tests.support.records import a_message, a_run, a_thread
from tests.support.simulated_disk import PowerCut, SimulatedDisk
from tests.support.store_workload import Workload, check
from tests.support.stores import open_store


def undisturbed() -> SimulatedDisk:
    disk = SimulatedDisk()
    Workload(disk).run()
    return disk


STEPS = undisturbed().calls


def interrupted(step: int) -> Workload:
    disk = SimulatedDisk()
    disk.power_fails_at = step
    work = Workload(disk)
    with contextlib.suppress(PowerCut, StoreError):
        work.run()
    return work


def cut_at(steps: range, outcomes: int) -> None:
    for step in steps:
        work = interrupted(step)
        for seed in range(step * 1000, step * 1000 + outcomes):
            with at(step=step, seed=seed):
                check(work, work.disk.after_power_cut(random.Random(seed)))


def test_acknowledged_changes_survive_a_power_cut() -> None:
    cut_at(range(1, STEPS + 2, 9), outcomes=2)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1, 9))
def test_acknowledged_changes_survive_a_power_cut_at_every_step(start: int) -> None:
    assert STEPS * 8 >= 1000
    cut_at(range(start, STEPS + 2, 8), outcomes=8)


def test_acknowledged_changes_survive_a_kill_at_every_step() -> None:
    for step in range(1, STEPS + 2, 9):
        with at(step=step):
            work = interrupted(step)
            check(work, work.disk.after_kill())


def test_recovery_survives_a_power_cut_at_each_of_its_steps() -> None:
    for step in range(40, STEPS + 2, 29):
        work = interrupted(step)
        for cut in range(1, 40, 3):
            with at(step=step, cut=cut):
                disk = work.disk.after_power_cut(random.Random(step * 100 + cut))
                disk.power_fails_at = cut
                with contextlib.suppress(PowerCut, StoreError):
                    open_store(disk).recover()
                    break
                check(work, disk.after_power_cut(random.Random(cut)))


def failing(call: str, nth: int, code: int) -> Workload:
    """The n-th such call fails once; the workload continues as a server would."""
    disk = SimulatedDisk()
    seen = 0

    def fault(name: str, index: int) -> OSError | None:
        nonlocal seen
        seen += name == call
        return OSError(code, os.strerror(code)) if name == call and seen == nth else None

    disk.fault = fault
    work = Workload(disk)
    with contextlib.suppress(StoreError, ObjectNotFoundError):  # a failed start is tried again
        work.run()
    disk.fault = lambda name, index: None
    return work


CHANGES = ("open", "write", "truncate", "unlink")
FAULTS = [(call, code) for call in CHANGES for code in (errno.ENOSPC, errno.EIO)]


@pytest.mark.parametrize(("call", "code"), FAULTS)
def test_a_failing_system_call_loses_nothing_and_the_store_still_works(call: str, code: int) -> None:
    """Each of the calls that SQLite makes, and those beside it."""
    for nth in range(1, undisturbed().trace.count(call) + 1, 9 if call == "write" else 2):
        with at(nth=nth):
            work = failing(call, nth, code)
            check(work, work.disk.after_kill())


@pytest.mark.parametrize("call", ["fsync", "fsync_dir"])
def test_after_a_failed_fsync_everything_acknowledged_is_there_and_nothing_else_is_accepted(call: str) -> None:
    for nth in range(1, undisturbed().trace.count(call) + 1, 4):
        work = failing(call, nth, errno.EIO)
        with at(nth=nth):
            check(work, work.disk.after_kill())
            check(work, work.disk.after_power_cut(random.Random(nth)))


def test_a_store_on_a_full_disk_still_reads_and_writes_again_when_there_is_space() -> None:
    disk = SimulatedDisk()
    store = open_store(disk)
    thread = store.threads.create(a_thread(), [a_message("kept")])
    disk.fault = lambda call, index: OSError(errno.ENOSPC, "no space") if call in ("write", "mkdir") else None
    for refused in (
        lambda: store.messages.append(thread.id, a_message()),
        lambda: store.runs.create(a_run(thread.id), [a_message()]),
        lambda: store.threads.create(a_thread()),
        lambda: store.threads.update(thread.id, metadata={"k": "v"}),
    ):
        with pytest.raises(StoreFullError):
            refused()
    for each in (store, open_store(disk)):
        assert [m.text_content for m in each.messages.list(thread.id)] == ["kept"]
        assert each.threads.get(thread.id) == thread
    disk.fault = lambda call, index: None
    store.messages.append(thread.id, a_message("new"))
    again = open_store(disk)
    assert again.recover() == []
    assert [m.text_content for m in again.messages.list(thread.id)] == ["kept", "new"]


def test_a_store_that_is_read_only_still_reads() -> None:
    disk = SimulatedDisk()
    store = open_store(disk)
    thread = store.threads.create(a_thread(), [a_message("kept")])
    disk.fault = lambda call, index: OSError(errno.EIO, "I/O error") if call == "fsync" else None
    with pytest.raises(StoreReadOnlyError):
        store.messages.append(thread.id, a_message())
    disk.fault = lambda call, index: None
    with pytest.raises(StoreReadOnlyError):
        store.threads.create(a_thread())
    assert [m.text_content for m in store.messages.list(thread.id)] == ["kept"]


def full_until_the_reserve_is_released(disk: SimulatedDisk) -> None:
    """As long as the reserve is there, no write has space; then some bytes have."""
    room = SIZE

    def fault(call: str, index: int) -> OSError | None:
        nonlocal room
        if call != "write":
            return None
        room -= 0 if disk.isfile("/data/reserve") else 8192
        return OSError(errno.ENOSPC, "no space") if disk.isfile("/data/reserve") or room < 0 else None

    disk.fault = fault


def test_deleting_and_giving_up_a_run_work_on_a_full_disk() -> None:
    disk = SimulatedDisk()
    store = open_store(disk)
    gone, kept = (store.threads.create(a_thread(), [a_message("a"), a_message("b")]) for _ in range(2))
    store.runs.create(a_run(gone.id))
    run = store.runs.create(a_run(kept.id))
    full_until_the_reserve_is_released(disk)
    with pytest.raises(StoreFullError):
        store.runs.update_status(kept.id, run.id, RunStatus.COMPLETED)
    assert store.runs.abandon(kept.id, run.id).status is RunStatus.FAILED
    full_until_the_reserve_is_released(disk)
    store.threads.delete(gone.id)
    store.messages.delete(kept.id, store.messages.list(kept.id)[0].id)
    after = open_store(disk.after_power_cut(random.Random(0)))
    with pytest.raises(ObjectNotFoundError):
        after.threads.get(gone.id)
    assert [m.text_content for m in after.messages.list(kept.id)] == ["b"]
    assert after.runs.get(kept.id, run.id).status is RunStatus.FAILED
