"""A thread as a place of changes and reads, and changes that involve several kinds of objects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from oxillama.assistants.records import Run, RunStepStatus, Thread, ThreadMessage, transitions
from oxillama.assistants.store.layout import OPEN, Layout
from oxillama.errors import StoreDamagedError, StoreError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ThreadState:
    """A thread inside a block of `OpenThreads.use` or `look`."""

    thread: Thread
    layout: Layout

    @property
    def active_run(self) -> Run | None:
        """The run that locks the thread: the oldest that has not ended. Others wait for their turn."""
        return next(iter(self.layout.runs(self.thread.id).list(OPEN)), None)


class OpenThreads:
    """Shared by the stores of threads, messages, runs and steps. Safe to use from several threads.

    unknown: ids of the runs whose end could not be stored; the next start takes them up.
    """

    def __init__(self, layout: Layout, clock: Callable[[], float]) -> None:
        self.layout = layout
        self.durable = layout.durable
        self.unknown: set[str] = set()
        self._clock = clock

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    # -- threads -----------------------------------------------------------------------------------------------------

    @contextmanager
    def use(self, thread_id: str) -> Iterator[ThreadState]:
        """A change of the thread, all or nothing. Raises ObjectNotFoundError or StoreDamagedError."""
        with self.layout.database.change():
            yield ThreadState(self.layout.threads.get(thread_id), self.layout)

    @contextmanager
    def look(self, thread_id: str) -> Iterator[ThreadState]:
        """Reads that see one state of the thread. Raises ObjectNotFoundError or StoreDamagedError."""
        with self.layout.database.read():
            yield ThreadState(self.layout.threads.get(thread_id), self.layout)

    # -- messages ----------------------------------------------------------------------------------------------------

    def append(self, state: ThreadState, message: ThreadMessage) -> ThreadMessage:
        """Add a message."""
        messages = self.layout.messages(state.thread.id)
        message = messages.following(msgspec.structs.replace(message, thread_id=state.thread.id))
        messages.put(message)
        return message

    def answer(self, run: Run) -> ThreadMessage | None:
        """The answer that ended the run, if it is stored."""
        try:
            messages = self.layout.messages(run.thread_id).whole(run.id)
        except StoreDamagedError:
            return None
        return next((m for m in messages if m.role == "assistant" and not m.interim), None)

    # -- runs --------------------------------------------------------------------------------------------------------

    def run(self, state: ThreadState, run_id: str) -> Run:
        """One run. Raises ObjectNotFoundError or StoreDamagedError; StoreError if its end could not be stored."""
        if run_id in self.unknown:
            self.durable.require_writable()
            raise StoreError(f"The end of {run_id} could not be stored: it is taken up again by the next start.")
        return self.layout.runs(state.thread.id).get(run_id)

    def put_run(self, run: Run) -> Run:
        """Store a run. If it has ended, its open step ends too."""
        if run.status.is_terminal:
            self._end_steps(run)
        self.layout.runs(run.thread_id).put(run)
        return run

    def settle(self, run: Run) -> Run:
        """Settle a run whose worker is gone, by `transitions.settle`, and store the result."""
        settled = transitions.settle(run, self.answer(run), self.now())
        if settled != run:
            self.put_run(settled)
            _log.info("unfinished run settled: run_id %s, was %s, now %s", run.id, run.status, settled.status)
        return settled

    def _end_steps(self, run: Run) -> None:
        steps = self.layout.steps(run.thread_id, run.id)
        known = steps.list()
        ended = [step for step in known if step.status.is_terminal]
        for step in known:
            if not step.status.is_terminal:
                status = transitions.step_status(run.status, step)
                error = run.last_error if status is RunStepStatus.FAILED else None
                usage = transitions.rest_of_usage(run.usage, (other.usage for other in ended))
                steps.put(transitions.move_step(step, status, self.now(), usage=usage, last_error=error))
