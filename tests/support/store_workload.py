"""A sequence of changes to a store, a record of those that were acknowledged, and the check of the store afterwards."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from oxillama.assistants.records import RunStatus, RunStepStatus, ThreadMessage
from oxillama.assistants.records.transitions import end_message
from oxillama.errors import ObjectNotFoundError, StateConflictError, StoreError
from tests.support.records import NOW, a_message, a_run, a_step, a_thread
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.assistants.store.store import Store
    from oxillama.storage.record import Record
    from tests.support.simulated_disk import SimulatedDisk


class Workload:
    """Runs a fixed list of changes. acknowledged: id → latest acknowledged record; None if its deletion was."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk = disk
        self.acknowledged: dict[str, Record | None] = {}
        self.pending: set[str] = set()  # ids of objects with a change that was begun but not acknowledged
        self.order: dict[str, list[str]] = {}  # thread id → ids of its messages
        self.thread_of: dict[str, str] = {}  # id → id of its thread

    def run(self) -> None:
        """Make every kind of change at least once, and note what was acknowledged. A PowerCut ends it."""
        store = open_store(self.disk)
        store.recover()
        kept, gone = a_thread(), a_thread()
        for thread in (kept, gone):
            first = a_message("first")
            self._change(thread.id, thread.id, partial(store.threads.create, thread, [first]))
            if self.acknowledged.get(thread.id) is not None:
                self._note(thread.id, store.messages.list(thread.id)[0])
        for n in range(2):
            self._add(store, kept.id, a_message(f"question {n} " + "x" * 100))
        self._answer(store, kept.id, RunStatus.COMPLETED)
        self._change(kept.id, kept.id, lambda: store.threads.update(kept.id, metadata={"k": "v"}))
        doomed = a_message("to be deleted")
        self._add(store, kept.id, doomed)
        self._change(kept.id, doomed.id, lambda: store.messages.delete(kept.id, doomed.id))
        self._change(gone.id, gone.id, lambda: store.threads.delete(gone.id))
        self._answer(store, kept.id, RunStatus.CANCELLED)
        given_up = a_run(kept.id)
        self._change(kept.id, given_up.id, lambda: store.runs.create(given_up))
        self._change(kept.id, given_up.id, lambda: store.runs.abandon(kept.id, given_up.id))
        self._change(kept.id, "open run", lambda: store.runs.create(a_run(kept.id), [a_message("addition")]))

    def _answer(self, store: Store, thread_id: str, ended: RunStatus) -> None:
        run = a_run(thread_id)
        if not self._change(thread_id, run.id, lambda: store.runs.create(run)):
            return
        step = a_step(run)
        message = end_message(ThreadMessage.new_assistant(step.message_id or "", run, NOW), "answer", ended, NOW, None)
        self._change(thread_id, run.id, lambda: store.runs.update_status(thread_id, run.id, RunStatus.IN_PROGRESS))
        self._change(thread_id, step.id, lambda: store.steps.append(step))
        self._add(store, thread_id, message)
        self._change(
            thread_id,
            step.id,
            lambda: store.steps.update_status(thread_id, run.id, step.id, RunStepStatus.COMPLETED),
        )
        self._change(thread_id, run.id, lambda: store.runs.update_status(thread_id, run.id, ended))

    def _add(self, store: Store, thread_id: str, message: ThreadMessage) -> None:
        if self._change(thread_id, message.id, lambda: store.messages.append(thread_id, message)):
            self.order[thread_id].append(message.id)

    def _note(self, thread_id: str, message: ThreadMessage) -> None:
        self.acknowledged[message.id] = message
        self.thread_of[message.id] = thread_id
        self.order.setdefault(thread_id, []).append(message.id)

    def _change(self, thread_id: str, key: str, change: Callable[[], Any]) -> bool:
        self.thread_of[key] = thread_id
        self.pending.add(key)
        try:
            result = change()
        except (StoreError, ObjectNotFoundError, StateConflictError):
            return False
        self.pending.discard(key)
        self.acknowledged[key] = result
        return True


def check(work: Workload, disk: SimulatedDisk) -> Store:
    """Open the store on the remaining disk. Acknowledged changes are there; nothing is stuck, doubled or incomplete."""
    store = open_store(disk)
    queued = store.recover()
    for key, record in work.acknowledged.items():
        thread_id = work.thread_of[key]
        gone = thread_id in work.acknowledged and work.acknowledged[thread_id] is None
        if key in work.pending or gone or thread_id in work.pending & work.acknowledged.keys() - {key}:
            continue
        if key.startswith("thread_") and record is not None:
            assert store.threads.get(key) == record
        if key.startswith("msg_"):
            there = {m.id: m for m in store.messages.list(thread_id)}
            assert there.get(key) == record
        if key.startswith("run_") and record.status.is_terminal:
            assert store.runs.get(thread_id, key).status == record.status
    for thread_id in {t for t in work.thread_of.values() if t.startswith("thread_")}:
        check_thread(store, thread_id, work, {run.id for run in queued})
    return store


def check_thread(store: Store, thread_id: str, work: Workload, queued: set[str]) -> None:
    try:
        messages = store.messages.list(thread_id)
    except ObjectNotFoundError:
        assert work.acknowledged.get(thread_id) is None or thread_id in work.pending
        return
    ids = [m.id for m in messages]
    assert len(set(ids)) == len(ids)
    promised = [m for m in work.order.get(thread_id, []) if work.acknowledged.get(m) and m not in work.pending]
    assert [m for m in ids if m in promised] == promised
    answers = [m.run_id for m in messages if m.role == "assistant"]
    assert len(set(answers)) == len(answers)
    for run in store.runs.list(thread_id):
        assert run.status.is_terminal or run.id in queued
        for step in store.steps.list(thread_id, run.id):
            assert step.status.is_terminal or run.id in queued
        if run.id in queued:
            store.runs.update_status(thread_id, run.id, RunStatus.FAILED)
    after = a_message("after the restart")
    store.messages.append(thread_id, after)
    assert store.messages.list(thread_id)[-1].id == after.id
