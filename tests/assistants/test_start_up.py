"""A start looks at unfinished runs only, however much there is."""

from __future__ import annotations

from oxillama.assistants.store.store import ThreadStore
from oxillama.storage.durable import Durable
from tests.assistants.fixtures import NOW, a_message, a_run, a_thread
from tests.support.simulated_disk import SimulatedDisk


class CountingDisk(SimulatedDisk):
    reads = 0

    def read(self, path: str) -> bytes:
        self.reads += 1
        return super().read(path)

    def listdir(self, path: str) -> list[str]:
        self.reads += 1
        return super().listdir(path)


def test_the_number_of_threads_does_not_matter_to_a_start() -> None:
    disk = CountingDisk()
    store = ThreadStore("/data", Durable(disk), clock=lambda: NOW)
    for _ in range(300):
        store.create_thread(a_thread(), [a_message()])
    thread = store.create_thread(a_thread(), [a_message()])
    run = store.create_run(a_run(thread.id))
    disk.reads = 0
    assert ThreadStore("/data", Durable(disk), clock=lambda: NOW).recover() == [run]
    assert disk.reads < 15
