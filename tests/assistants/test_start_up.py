"""What a start and a page cost does not depend on how much is stored."""

from __future__ import annotations

from oxillama.assistants.store.store import Store
from oxillama.storage.collection import Cut
from tests.support.records import NOW, a_message, a_run, a_thread
from tests.support.simulated_disk import CountingDisk
from tests.support.stores import open_database, open_store


def test_a_start_does_not_depend_on_the_number_of_threads() -> None:
    reads = []
    for threads in (1, 2000):
        disk = CountingDisk()
        database = open_database(disk)
        store = Store(database, clock=lambda: NOW)
        with database.change():
            for _ in range(threads):
                thread = store.threads.create(a_thread(), [a_message()])
            run = store.runs.create(a_run(thread.id))
        database.close()
        after = disk.after_kill()
        assert open_store(after).recover() == [run]
        reads.append(after.reads)
    assert reads[1] < reads[0] + 20


def test_a_page_does_not_depend_on_the_length_of_the_thread() -> None:
    disk = CountingDisk()
    store = open_store(disk)
    short, long = (store.threads.create(a_thread(), [a_message(str(n)) for n in range(size)]) for size in (20, 5000))
    reads = []
    for thread, last in ((short, "19"), (long, "4999")):
        after = disk.after_kill()
        again = open_store(after)
        before = after.reads
        ((newest,), more) = again.messages.page(thread.id, Cut(limit=1))
        assert (newest.text_content, more) == (last, True)
        reads.append(after.reads - before)
    assert reads[1] < reads[0] + 10


def test_a_new_thread_costs_as_many_syncs_with_many_messages_as_with_one() -> None:
    """A hundred thousand syncs would hold up a request for minutes."""
    counts = []
    for n in (1, 200):
        disk = CountingDisk()
        store = open_store(disk)
        before = disk.syncs
        thread = store.threads.create(a_thread(), [a_message(str(at)) for at in range(n)])
        counts.append(disk.syncs - before)
        again = open_store(disk)
        assert [m.text_content for m in again.messages.list(thread.id)] == [str(at) for at in range(n)]
    assert counts == [1, 1]
