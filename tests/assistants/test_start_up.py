"""A start reads only unfinished runs, however many threads there are."""

from __future__ import annotations

from oxillama.assistants.store.store import Store
from oxillama.storage.durable import Durable
from tests.support.records import NOW, a_message, a_run, a_thread
from tests.support.simulated_disk import CountingDisk


def test_a_start_does_not_depend_on_the_number_of_threads() -> None:
    disk = CountingDisk()
    store = Store("/data", Durable(disk), clock=lambda: NOW)
    for _ in range(300):
        store.threads.create(a_thread(), [a_message()])
    thread = store.threads.create(a_thread(), [a_message()])
    run = store.runs.create(a_run(thread.id))
    disk.reads = 0
    assert Store("/data", Durable(disk), clock=lambda: NOW).recover() == [run]
    assert disk.reads < 15


def test_a_new_thread_costs_as_much_with_many_messages_as_with_one() -> None:
    """A hundred thousand syncs would hold up a request for minutes."""
    counts = []
    for n in (1, 200):
        disk = CountingDisk()
        store = Store("/data", Durable(disk), clock=lambda: NOW)
        before = disk.syncs
        thread = store.threads.create(a_thread(), [a_message(str(at)) for at in range(n)])
        counts.append(disk.syncs - before)
        again = Store("/data", Durable(disk), clock=lambda: NOW)
        assert [m.text_content for m in again.messages.list(thread.id)] == [str(at) for at in range(n)]
    assert counts[0] == counts[1]
