"""A power cut, a kill, a full disk or a failing call at every single step of a workload."""

from __future__ import annotations

import contextlib
import errno
import os
import random

import pytest

from oxillama.assistants.records import RunStatus
from oxillama.assistants.store.store import Store
from oxillama.errors import ObjectNotFoundError, StoreError, StoreFullError, StoreReadOnlyError
from oxillama.storage.durable import Durable
from tests.support.places import at
from tests.support.records import NOW, a_message, a_run, a_thread
from tests.support.simulated_disk import PowerCut, SimulatedDisk
from tests.support.store_workload import Workload, check

OUTCOMES = 8


def undisturbed() -> SimulatedDisk:
    disk = SimulatedDisk()
    Workload(disk).run()
    return disk


STEPS = undisturbed().calls


def interrupted(step: int) -> Workload:
    disk = SimulatedDisk()
    disk.power_fails_at = step
    work = Workload(disk)
    with contextlib.suppress(PowerCut):
        work.run()
    return work


def test_the_workload_has_enough_steps_for_a_thousand_states() -> None:
    assert STEPS * OUTCOMES >= 1000


def test_acknowledged_changes_survive_a_power_cut_at_every_step() -> None:
    for step in range(1, STEPS + 2):
        work = interrupted(step)
        for seed in range(step * 1000, step * 1000 + OUTCOMES):
            with at(step=step, seed=seed):
                check(work, work.disk.after_power_cut(random.Random(seed)))


def test_acknowledged_changes_survive_a_kill_at_every_step() -> None:
    for step in range(1, STEPS + 2):
        with at(step=step):
            work = interrupted(step)
            check(work, work.disk.after_kill())


def test_recovery_survives_a_power_cut_at_each_of_its_steps() -> None:
    for step in range(40, STEPS + 2, 9):
        work = interrupted(step)
        for cut in range(1, 40):
            with at(step=step, cut=cut):
                disk = work.disk.after_power_cut(random.Random(step * 100 + cut))
                disk.power_fails_at = cut
                with contextlib.suppress(PowerCut):
                    Store("/data", Durable(disk), clock=lambda: NOW).recover()
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


CHANGES = ("open", "write", "truncate", "rename", "unlink", "mkdir", "rmdir")
FAULTS = [(call, code) for call in CHANGES for code in (errno.ENOSPC, errno.EIO)]


@pytest.mark.parametrize(("call", "code"), [*FAULTS, ("fsync", errno.EDQUOT)])
def test_a_failing_system_call_loses_nothing_and_the_store_still_works(call: str, code: int) -> None:
    for nth in range(1, undisturbed().trace.count(call) + 1):
        with at(nth=nth):
            work = failing(call, nth, code)
            check(work, work.disk.after_kill())


@pytest.mark.parametrize("call", ["fsync", "fsync_dir"])
def test_after_a_failed_fsync_everything_acknowledged_is_there_and_nothing_else_is_accepted(call: str) -> None:
    for nth in range(1, undisturbed().trace.count(call) + 1):
        work = failing(call, nth, errno.EIO)
        with at(nth=nth):
            check(work, work.disk.after_kill())
        for seed in range(3):
            with at(nth=nth, seed=seed):
                check(work, work.disk.after_power_cut(random.Random(seed)))


def test_a_store_on_a_full_disk_still_reads_and_writes_again_when_there_is_space() -> None:
    disk = SimulatedDisk()
    store = Store("/data", Durable(disk), clock=lambda: NOW)
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
    for each in (store, Store("/data", Durable(disk), clock=lambda: NOW)):
        assert [m.text_content for m in each.messages.list(thread.id)] == ["kept"]
        assert each.threads.get(thread.id) == thread
    disk.fault = lambda call, index: None
    store.messages.append(thread.id, a_message("new"))
    again = Store("/data", Durable(disk), clock=lambda: NOW)
    assert again.recover() == []
    assert [m.text_content for m in again.messages.list(thread.id)] == ["kept", "new"]


def test_a_store_that_is_read_only_still_reads() -> None:
    disk = SimulatedDisk()
    store = Store("/data", Durable(disk), clock=lambda: NOW)
    thread = store.threads.create(a_thread(), [a_message("kept")])
    disk.fault = lambda call, index: OSError(errno.EIO, "I/O error") if call == "fsync" else None
    with pytest.raises(StoreReadOnlyError):
        store.messages.append(thread.id, a_message())
    disk.fault = lambda call, index: None
    with pytest.raises(StoreReadOnlyError):
        store.threads.create(a_thread())
    assert [m.text_content for m in store.messages.list(thread.id)] == ["kept"]


def no_room_for_names(disk: SimulatedDisk) -> None:
    """As on a full ext4: calls that add a name to a directory fail until something is removed."""
    full = True

    def fault(call: str, index: int) -> OSError | None:
        nonlocal full
        full = full and call != "unlink"
        return OSError(errno.ENOSPC, "no space") if full and call in ("write", "mkdir", "rename") else None

    disk.fault = fault


@pytest.mark.parametrize("for_good", [True, False])
def test_a_thread_can_be_deleted_on_a_full_disk(for_good: bool) -> None:
    disk = SimulatedDisk()
    store = Store("/data", Durable(disk), clock=lambda: NOW)
    thread = store.threads.create(a_thread(), [a_message()])
    store.runs.create(a_run(thread.id))
    if for_good:
        disk.fault = lambda call, index: OSError(errno.ENOSPC, "no space") if call == "rename" else None
    else:
        no_room_for_names(disk)
    store.threads.delete(thread.id)
    assert disk.listdir("/data/threads") == []
    assert disk.listdir("/data/active") == []
    with pytest.raises(ObjectNotFoundError):
        store.threads.get(thread.id)


def test_a_thread_deleted_on_a_full_disk_is_whole_or_gone_after_a_power_cut_at_every_step() -> None:
    for step in range(1, 30):
        disk = SimulatedDisk()
        store = Store("/data", Durable(disk), clock=lambda: NOW)
        thread = store.threads.create(a_thread(), [a_message("kept")])
        ended = store.runs.create(a_run(thread.id))
        store.runs.update_status(thread.id, ended.id, RunStatus.COMPLETED)
        no_room_for_names(disk)
        disk.power_fails_at = disk.calls + step
        acknowledged = False
        with contextlib.suppress(PowerCut):
            store.threads.delete(thread.id)
            acknowledged = True
        for seed in range(20):
            with at(step=step, seed=seed):
                after = Store("/data", Durable(disk.after_power_cut(random.Random(seed))), clock=lambda: NOW)
                assert after.recover() == []
                try:
                    messages = [m.text_content for m in after.messages.list(thread.id)]
                except ObjectNotFoundError:
                    continue
                assert not acknowledged
                assert messages == ["kept"]
                assert [run.id for run in after.runs.list(thread.id)] == [ended.id]
    assert acknowledged
