"""The tables of the Assistants API."""

from __future__ import annotations

from collections.abc import Sequence

from oxillama.assistants.records import Assistant, Run, RunStep, Thread, ThreadMessage
from oxillama.storage.collection import Collection
from oxillama.storage.database import Database

OPEN = "open"
"""The tag of runs that have not ended."""


class Layout:
    """The collections of one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.durable = database.durable
        with database.change():  # one commit for new tables
            self.assistants = Collection(database, "assistants", Assistant, prefix="asst", noun="assistant")
            self.threads = Collection(database, "threads", Thread, prefix="thread", noun="thread")
            self._messages = Collection(
                database, "messages", ThreadMessage, prefix="msg", noun="message", tag=lambda message: message.run_id
            )
            self._runs = Collection(
                database,
                "runs",
                Run,
                prefix="run",
                noun="run",
                tag=lambda run: None if run.status.is_terminal else OPEN,
            )
            self._steps = Collection(database, "steps", RunStep, prefix="step", noun="run step")

    def messages(self, thread_id: str) -> Collection[ThreadMessage]:
        """The messages of a thread. Their tag is the id of the run that wrote them."""
        return self._messages.within(thread_id, thread_id=thread_id)

    def runs(self, thread_id: str) -> Collection[Run]:
        """The runs of a thread. Those that have not ended have the tag OPEN."""
        return self._runs.within(thread_id, thread_id=thread_id)

    def steps(self, thread_id: str, run_id: str) -> Collection[RunStep]:
        """The steps of a run."""
        return self._steps.within(run_id, thread_id=thread_id, run_id=run_id)

    def open_runs(self) -> Sequence[tuple[str, str]]:
        """(thread id, run id) of all runs that have not ended, oldest first."""
        return self._runs.owners(OPEN)
