"""The paths in a data directory. The package's docstring draws the layout."""

from __future__ import annotations

import posixpath

from oxillama.assistants.records import ActiveRun, Assistant, Run, RunStep, Thread, ThreadMessage
from oxillama.storage.collection import Collection, DirectoryCollection
from oxillama.storage.durable import Durable
from oxillama.storage.jsonl import JsonlFile


class Layout:
    """The collections of one data directory. Creates the directories that always exist."""

    def __init__(self, data_dir: str, durable: Durable) -> None:
        self.durable = durable
        self.assistants = Collection(
            durable, posixpath.join(data_dir, "assistants"), Assistant, prefix="asst", noun="assistant"
        )
        self.threads = DirectoryCollection(
            durable, posixpath.join(data_dir, "threads"), Thread, head="meta.json", prefix="thread", noun="thread"
        )
        self.active = Collection(durable, posixpath.join(data_dir, "active"), ActiveRun, prefix="run", noun="run")
        for collection in (self.assistants, self.threads, self.active):
            durable.make_dir(collection.directory)

    def messages(self, thread_dir: str) -> JsonlFile[ThreadMessage]:
        """The messages of the thread whose directory this is, or will be."""
        return JsonlFile(self.durable, posixpath.join(thread_dir, "messages.jsonl"), ThreadMessage)

    def runs(self, thread_id: str) -> DirectoryCollection[Run]:
        """The runs of a thread."""
        directory = posixpath.join(self.threads.dir(thread_id), "runs")
        return DirectoryCollection(
            self.durable, directory, Run, head="status.json", prefix="run", noun="run", thread_id=thread_id
        )

    def steps(self, thread_id: str, run_id: str) -> Collection[RunStep]:
        """The steps of a run."""
        directory = posixpath.join(self.runs(thread_id).dir(run_id), "steps")
        return Collection(
            self.durable, directory, RunStep, prefix="step", noun="run step", thread_id=thread_id, run_id=run_id
        )
