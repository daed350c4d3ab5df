"""The threads in use: their state in memory, their locks, and changes that involve several kinds of objects."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from oxillama.assistants.records import Run, RunStepStatus, ThreadMessage, transitions
from oxillama.assistants.store.layout import Layout
from oxillama.assistants.store.state import StateCache, ThreadState
from oxillama.errors import ObjectNotFoundError, StoreDamagedError, StoreError

_LOCKS = 64
_log = logging.getLogger(__name__)


class OpenThreads:
    """Shared by the stores of threads, messages, runs and steps. Safe to use from several threads.

    pending: ids of the runs that this process will end. unknown: ids of the runs whose end could not be stored; the
    next start takes them up.
    """

    def __init__(self, layout: Layout, clock: Callable[[], float], cache_bytes: int) -> None:
        self.layout = layout
        self.durable = layout.durable
        self.pending: set[str] = set()
        self.unknown: set[str] = set()
        self._clock = clock
        self._cache = StateCache(cache_bytes)
        self._locks = [threading.RLock() for _ in range(_LOCKS)]

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    # -- threads -----------------------------------------------------------------------------------------------------

    @contextmanager
    def use(self, thread_id: str) -> Iterator[ThreadState]:
        """The thread's state, under its lock. Raises ObjectNotFoundError or StoreDamagedError."""
        self.layout.threads.check(thread_id)
        with self._locks[zlib.crc32(thread_id.encode()) % _LOCKS]:
            state = self._cache.get(thread_id)
            if state is None:
                state = self._load(thread_id)
            try:
                yield state
            finally:
                if self._cache.get(thread_id) is state:
                    self._cache.put(thread_id, state)

    def discard(self, state: ThreadState) -> None:
        """Forget a thread that was deleted, and its run."""
        self._cache.discard(state.thread.id)
        if state.active_run is not None:
            self.forget(state.active_run.id)

    def _load(self, thread_id: str) -> ThreadState:
        threads = self.layout.threads
        state = ThreadState(threads.get(thread_id), self.layout.messages(threads.dir(thread_id)))
        state.runs = {run.id: run for run in self.layout.runs(thread_id).list()}
        self._cache.put(thread_id, state)
        for run in list(state.runs.values()):
            if not run.status.is_terminal and run.id not in self.pending:
                self._end_abandoned(state, run)
        return state

    def _end_abandoned(self, state: ThreadState, run: Run) -> None:
        """End a run without a marker. No worker will end it, and it would lock its thread forever."""
        ended = self.abandoned(state, run)
        try:
            self.put_run(state, ended)
        except StoreError as error:
            _log.warning("abandoned run cannot be stored as ended: run_id %s, %s", run.id, error)
            state.runs[run.id] = ended

    # -- messages ----------------------------------------------------------------------------------------------------

    def messages(self, state: ThreadState) -> dict[str, ThreadMessage]:
        """The thread's messages by id, oldest first."""
        if state.messages is None:
            messages: dict[str, ThreadMessage] = {}
            for record in state.log.read():
                state.last_created_at = max(state.last_created_at, record.created_at)
                if record.thread_id != state.thread.id:
                    record = msgspec.structs.replace(record, thread_id=state.thread.id)
                _apply(messages, record)
            state.messages = messages
        return state.messages

    def append(self, state: ThreadState, message: ThreadMessage) -> ThreadMessage:
        """Append a message, or a new version of one."""
        messages = self.messages(state)
        if message.id not in messages:  # the clock may go back; the order of the messages does not
            created_at = max(message.created_at, state.last_created_at)
            message = msgspec.structs.replace(message, thread_id=state.thread.id, created_at=created_at)
        state.log.append([message])
        state.last_created_at = max(message.created_at, state.last_created_at)
        _apply(messages, message)
        return message

    def answer(self, state: ThreadState, run: Run) -> ThreadMessage | None:
        """The answer that ended the run, if it is stored."""
        try:
            messages = self.messages(state).values()
        except StoreDamagedError:
            return None
        return next((m for m in messages if m.run_id == run.id and m.role == "assistant" and not m.interim), None)

    # -- runs --------------------------------------------------------------------------------------------------------

    def run(self, state: ThreadState, run_id: str) -> Run:
        """One run. Raises ObjectNotFoundError or StoreDamagedError; StoreError if its end could not be stored."""
        if run_id in self.unknown:
            self.durable.require_writable()
            raise StoreError(f"The end of {run_id} could not be stored: it is taken up again by the next start.")
        run = state.runs.get(run_id)
        return run if run is not None else self.layout.runs(state.thread.id).get(run_id)

    def put_run(self, state: ThreadState, run: Run) -> Run:
        """Store a run. If it has ended, its open step ends too, and its marker is removed."""
        if run.status.is_terminal:  # first, because a run that has ended must not have an open step
            self._end_steps(run)
        self.layout.runs(run.thread_id).put(run)
        state.runs[run.id] = run
        if run.status.is_terminal:
            self.forget(run.id)
        return run

    def settle(self, state: ThreadState, run: Run) -> Run:
        """Settle a run whose worker is gone, by `transitions.settle`, and store the result."""
        settled = transitions.settle(run, self.answer(state, run), self.now())
        if settled != run or settled.status.is_terminal:
            self.put_run(state, settled)
        if settled != run:
            _log.info("unfinished run settled: run_id %s, was %s, now %s", run.id, run.status, settled.status)
        return settled

    def abandoned(self, state: ThreadState, run: Run) -> Run:
        """The end of an unfinished run that has no marker."""
        return transitions.settle_abandoned(run, self.answer(state, run), self.now())

    def forget(self, run_id: str) -> None:
        """Remove the marker of a run whose end is on disk. If that fails, the next start looks at the run once more."""
        self.pending.discard(run_id)
        try:
            self.durable.disk.unlink(self.layout.active.path(run_id))
        except (OSError, ObjectNotFoundError) as error:
            if not isinstance(error, FileNotFoundError):
                _log.warning("marker not removed: run_id %s, %s", run_id, error)

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


def _apply(messages: dict[str, ThreadMessage], record: ThreadMessage) -> None:
    if record.deleted:
        messages.pop(record.id, None)
    else:
        messages[record.id] = record
