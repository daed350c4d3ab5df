"""Threads, messages, runs and steps on disk.

    <data-dir>/threads/<thread_id>/meta.json
                                   messages.jsonl            one record per message, change or deletion
                                   runs/<run_id>/status.json
                                   runs/<run_id>/steps/<step_id>.json
    <data-dir>/active/<run_id>.json                          names the thread of a run that has not ended

A thread and a run are prepared under a name beginning with a dot and then renamed, so whatever is listed is whole. The
markers in `active` are written before a run exists and removed after it has ended: a start looks at those runs only,
however many threads there are.

Everything here blocks; async callers come through an `Offload`. A method returns when its change is on disk. All
raise ObjectNotFoundError, StoreDamagedError (this object only), StoreFullError, StoreReadOnlyError or StoreError;
StateConflictError where the state of the thread or run does not allow the change.
"""

from __future__ import annotations

import logging
import posixpath
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from oxillama.assistants.records.types import Run, RunStatus, RunStep, RunStepStatus, Thread, ThreadMessage
from oxillama.assistants.run import transitions
from oxillama.assistants.store.layout import ThreadFiles
from oxillama.assistants.store.state import StateCache, ThreadState
from oxillama.errors import ObjectNotFoundError, StateConflictError, StoreDamagedError, StoreError, StoreFullError
from oxillama.storage.durable import Durable
from oxillama.storage.ids import is_id

_LOCKS = 64
_CACHE_BYTES = 256 * 2**20
_log = logging.getLogger(__name__)


class ActiveMarker(msgspec.Struct, frozen=True):
    """The content of a marker in `active`."""

    thread_id: str


class ThreadStore:
    """The threads of one data directory. One process at a time; any number of its threads.

    clock: Unix seconds, for tests.
    """

    def __init__(
        self,
        data_dir: str,
        durable: Durable | None = None,
        *,
        clock: Callable[[], float] = time.time,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        self.durable = Durable() if durable is None else durable
        self._files = ThreadFiles(data_dir, self.durable)
        self._clock = clock
        self._cache = StateCache(cache_bytes)
        self._locks = [threading.RLock() for _ in range(_LOCKS)]
        self._live: set[str] = set()  # runs that somebody in this process is going to end

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    # -- start-up ----------------------------------------------------------------------------------------------------

    def recover(self) -> list[Run]:
        """Finish what the last process left unfinished; returns the runs that have to be done (again), oldest first.

        Reads the threads with an unfinished run only. Doing it twice changes nothing.
        """
        self._files.clear(self._files.threads)
        queued: list[Run] = []
        unfinished = [name.removesuffix(".json") for name in self.durable.list_dir(self._files.active)]
        self._live.update(unfinished)
        for run_id in unfinished:
            run = self._recover_run(run_id)
            if run is not None:
                queued.append(run)
        return sorted(queued, key=lambda run: (run.created_at, run.sequence))

    def _recover_run(self, run_id: str) -> Run | None:
        path = self._files.marker(run_id)
        try:
            thread_id = self.durable.read_json(path, ActiveMarker).thread_id
            with self._thread(thread_id) as state:
                self._files.clear(self._files.runs_dir(thread_id))
                run = self._run(state, run_id)
                try:
                    run = self._settle(state, run)
                except StoreFullError as error:  # a full disk does not keep a server from starting: the worker ends it
                    _log.warning("unfinished run not settled: run_id %s, %s", run_id, error)
        except (ObjectNotFoundError, StoreDamagedError) as error:
            self._live.discard(run_id)
            _log.warning("unfinished run dropped: run_id %s, %s", run_id, error)
            self.durable.remove_file(path)
            return None
        return None if run.status.is_terminal else run

    def _settle(self, state: ThreadState, run: Run) -> Run:
        """Bring a run whose worker is gone, its step and its message into line."""
        try:
            messages = self._messages(state).values()
        except StoreDamagedError:
            messages = {}.values()
        step = next((s for s in self._files.read_steps(run) if not s.status.is_terminal), None)
        message = next((m for m in messages if m.run_id == run.id and m.role == "assistant"), None)
        settled = transitions.settle(run, step, message, self.now())
        if settled != run or settled.status.is_terminal:
            self._put_run(state, settled)
        if settled != run:
            _log.info("unfinished run settled: run_id %s, was %s, now %s", run.id, run.status, settled.status)
        return settled

    # -- threads -----------------------------------------------------------------------------------------------------

    def create_thread(self, thread: Thread, messages: Sequence[ThreadMessage] = ()) -> Thread:
        """Store a new thread with its first messages: all of it or nothing."""
        self.durable.require_writable()
        path = self._files.thread_dir(thread.id)
        temporary = posixpath.join(self._files.threads, f".tmp-{thread.id}")
        try:
            self.durable.make_hidden_dirs(temporary, "runs")
            self.durable.write_new_json(posixpath.join(temporary, "meta.json"), thread)
            log = self._files.log(temporary)
            log.append([msgspec.structs.replace(message, thread_id=thread.id) for message in messages])
            self.durable.publish_dir(temporary, path)
        except StoreError:
            self.durable.discard_tree(temporary)
            raise
        return thread

    def get_thread(self, thread_id: str) -> Thread:
        with self._thread(thread_id) as state:
            return state.thread

    def update_thread(self, thread_id: str, **changes: Any) -> Thread:
        """Replace fields of a thread; nothing is written where nothing changes."""
        with self._thread(thread_id) as state:
            thread = msgspec.structs.replace(state.thread, **changes)
            if thread == state.thread:
                return thread
            self.durable.write_json(self._files.meta(thread_id), thread)
            state.thread = thread
            return thread

    def delete_thread(self, thread_id: str) -> None:
        """Take a thread away with everything in it. Ending its run, if one is at work, is the caller's part."""
        with self._thread(thread_id) as state:
            active = state.active_run
            self.durable.remove_tree(self._files.thread_dir(thread_id))
            self._cache.discard(thread_id)
            if active is not None:
                self._forget(active.id)

    # -- messages ----------------------------------------------------------------------------------------------------

    def append_message(self, thread_id: str, message: ThreadMessage) -> ThreadMessage:
        """Add a message at the end; while a run is active only that run may. The same id twice is the same message."""
        with self._thread(thread_id) as state:
            active = state.active_run
            if active is not None and message.run_id != active.id:
                raise StateConflictError(f"Can't add messages to {thread_id} while a run {active.id} is active.")
            known = self._messages(state).get(message.id)
            return known if known is not None else self._append(state, message)

    def list_messages(self, thread_id: str) -> list[ThreadMessage]:
        """All messages, oldest first."""
        with self._thread(thread_id) as state:
            return list(self._messages(state).values())

    def get_message(self, thread_id: str, message_id: str) -> ThreadMessage:
        with self._thread(thread_id) as state:
            message = self._messages(state).get(message_id)
            if message is None:
                raise ObjectNotFoundError("message", message_id)
            return message

    def update_message(self, thread_id: str, message_id: str, **changes: Any) -> ThreadMessage:
        """Replace fields of a message; nothing is written where nothing changes."""
        with self._thread(thread_id) as state:
            message = self.get_message(thread_id, message_id)
            changed = msgspec.structs.replace(message, **changes)
            return message if changed == message else self._append(state, changed)

    def delete_message(self, thread_id: str, message_id: str) -> None:
        with self._thread(thread_id) as state:
            message = self.get_message(thread_id, message_id)
            self._append(state, msgspec.structs.replace(message, content=[], metadata={}, deleted=True))

    def _append(self, state: ThreadState, message: ThreadMessage) -> ThreadMessage:
        messages = self._messages(state)
        if message.id not in messages:  # the clock may go back; the order of the messages does not
            created_at = max(message.created_at, state.last_created_at)
            message = msgspec.structs.replace(message, thread_id=state.thread.id, created_at=created_at)
        state.log.append([message])
        state.last_created_at = max(message.created_at, state.last_created_at)
        _apply(messages, message)
        return message

    def _messages(self, state: ThreadState) -> dict[str, ThreadMessage]:
        if state.messages is None:
            messages: dict[str, ThreadMessage] = {}
            for record in state.log.read():
                state.last_created_at = max(state.last_created_at, record.created_at)
                if record.thread_id != state.thread.id:
                    record = msgspec.structs.replace(record, thread_id=state.thread.id)
                _apply(messages, record)
            state.messages = messages
        return state.messages

    # -- runs --------------------------------------------------------------------------------------------------------

    def create_run(self, run: Run, additional_messages: Sequence[ThreadMessage] = ()) -> Run:
        """Store a new run, after adding messages to its thread: both or neither."""
        with self._thread(run.thread_id) as state:
            active = state.active_run
            if active is not None:
                raise StateConflictError(f"Thread {run.thread_id} already has an active run {active.id}.")
            before = dict(self._messages(state)), state.last_created_at, state.log.size
            last = next(reversed(state.runs.values()), None)
            if last is not None:
                created_at = max(run.created_at, last.created_at)
                run = msgspec.structs.replace(run, sequence=last.sequence + 1, created_at=created_at)
            self._live.add(run.id)
            try:
                for message in additional_messages:
                    self._append(state, message)
                self._publish_run(run)
            except StoreError:
                self._undo_create(state, run, *before)
                raise
            state.runs[run.id] = run
            return run

    def _publish_run(self, run: Run) -> None:
        runs = self._files.runs_dir(run.thread_id)
        temporary = posixpath.join(runs, f".tmp-{run.id}")
        self.durable.write_json(self._files.marker(run.id), ActiveMarker(run.thread_id))
        try:
            self.durable.make_hidden_dirs(temporary, "steps")
            self.durable.write_new_json(posixpath.join(temporary, "status.json"), run)
            self.durable.publish_dir(temporary, posixpath.join(runs, run.id))
        except StoreError:
            self.durable.discard_tree(temporary)
            raise

    def _undo_create(
        self, state: ThreadState, run: Run, messages: dict[str, ThreadMessage], last_created_at: int, size: int
    ) -> None:
        self._live.discard(run.id)
        state.messages, state.last_created_at = messages, last_created_at
        try:
            if state.log.size != size:
                state.log.cut(size)
            self.durable.remove_file(self._files.marker(run.id))
        except StoreError as error:
            _log.warning("refused run left traces: run_id %s, %s", run.id, error)

    def get_run(self, thread_id: str, run_id: str) -> Run:
        with self._thread(thread_id) as state:
            return self._run(state, run_id)

    def list_runs(self, thread_id: str) -> list[Run]:
        """All runs, oldest first; damaged ones are left out (and logged)."""
        with self._thread(thread_id) as state:
            return list(state.runs.values())

    def active_run(self, thread_id: str) -> Run | None:
        """The run that locks the thread."""
        with self._thread(thread_id) as state:
            return state.active_run

    def update_run(self, thread_id: str, run_id: str, **changes: Any) -> Run:
        """Replace fields of a run, whatever its status; not the status itself. No change is no write."""
        with self._thread(thread_id) as state:
            run = self._run(state, run_id)
            changed = msgspec.structs.replace(run, **changes)
            return run if changed == run else self._put_run(state, changed)

    def update_run_status(self, thread_id: str, run_id: str, status: RunStatus, **changes: Any) -> Run:
        """Move a run on, with the times that go with the status. Refuses to leave a terminal state."""
        with self._thread(thread_id) as state:
            run = self._run(state, run_id)
            if run.status.is_terminal:
                raise StateConflictError(f"Run {run_id} has ended with status '{run.status}'.")
            if run.status is RunStatus.CANCELLING and not status.is_terminal:
                raise StateConflictError(f"Run {run_id} is being cancelled.")
            return self._put_run(state, transitions.move_run(run, status, self.now(), **changes))

    def request_cancel(self, thread_id: str, run_id: str) -> Run:
        """Mark a run as being cancelled, for its worker to end it; once more does no harm."""
        with self._thread(thread_id) as state:
            run = self._run(state, run_id)
            if run.status.is_terminal:
                raise StateConflictError(f"Cannot cancel run with status '{run.status}'.")
            if run.status is RunStatus.CANCELLING:
                return run
            return self._put_run(state, transitions.move_run(run, RunStatus.CANCELLING, self.now()))

    def release_run(self, thread_id: str, run_id: str) -> Run:
        """The worker gives an unfinished run back, as a restart would find it: it will be done again, or has ended."""
        with self._thread(thread_id) as state:
            run = self._run(state, run_id)
            if run.status.is_terminal:
                return run
            # An orderly end is no attempt that failed.
            return self._settle(state, msgspec.structs.replace(run, attempts=max(0, run.attempts - 1)))

    def show_lost(self, run: Run) -> None:
        """Show a run as ended although that could not be stored: nothing can be until a restart, and clients wait."""
        with self._thread(run.thread_id) as state:
            state.runs[run.id] = run

    def force_update_run_status(self, thread_id: str, run_id: str, status: RunStatus, **changes: Any) -> Run:
        """Set a run's status whatever it was: for repair."""
        with self._thread(thread_id) as state:
            run = self._run(state, run_id)
            return self._put_run(state, transitions.move_run(run, status, self.now(), **changes))

    def _run(self, state: ThreadState, run_id: str) -> Run:
        run = state.runs.get(run_id)
        if run is not None:
            return run
        if not is_id(run_id, "run"):
            raise ObjectNotFoundError("run", run_id)
        return self._files.read_run(state.thread.id, run_id)  # damaged, and says so; or not there

    def _put_run(self, state: ThreadState, run: Run) -> Run:
        if run.status.is_terminal:  # first: a run that has ended has no step in progress
            for step in self._files.read_steps(run):
                self._end_step(run, step)
        self.durable.write_json(self._files.status(run), run)
        state.runs[run.id] = run
        if run.status.is_terminal:
            self._forget(run.id)
        return run

    def _forget(self, run_id: str) -> None:
        """The run has ended, and that is on disk: a marker that stays only costs the next start a look."""
        self._live.discard(run_id)
        try:
            self.durable.disk.unlink(self._files.marker(run_id))
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                _log.warning("marker not removed: run_id %s, %s", run_id, error)

    # -- steps -------------------------------------------------------------------------------------------------------

    def steps_dir(self, thread_id: str, run_id: str) -> str:
        """Where the steps of a run lie."""
        return self._files.steps_dir(thread_id, run_id)

    def append_step(self, step: RunStep) -> RunStep:
        """Add a step to its run."""
        with self._thread(step.thread_id) as state:
            run = self._run(state, step.run_id)
            steps = self._files.read_steps(run)
            if steps:
                created_at = max(step.created_at, steps[-1].created_at)
                step = msgspec.structs.replace(step, sequence=steps[-1].sequence + 1, created_at=created_at)
            self.durable.make_dir(self.steps_dir(step.thread_id, step.run_id))
            self.durable.write_json(self._files.step(run, step.id), step)
            return step

    def get_step(self, thread_id: str, run_id: str, step_id: str) -> RunStep:
        with self._thread(thread_id) as state:
            run = self._run(state, run_id)
            if not is_id(step_id, "step"):
                raise ObjectNotFoundError("run step", step_id)
            return self._files.read_step(run, step_id)

    def list_steps(self, thread_id: str, run_id: str) -> list[RunStep]:
        """All steps of a run, oldest first; damaged ones are left out (and logged)."""
        with self._thread(thread_id) as state:
            return self._files.read_steps(self._run(state, run_id))

    def update_step_status(
        self, thread_id: str, run_id: str, step_id: str, status: RunStepStatus, **changes: Any
    ) -> RunStep:
        """Move a step on, with the time that goes with the status."""
        with self._thread(thread_id) as state:
            run = self._run(state, run_id)
            step = transitions.move_step(self._files.read_step(run, step_id), status, self.now(), **changes)
            self.durable.write_json(self._files.step(run, step_id), step)
            return step

    def _end_step(self, run: Run, step: RunStep) -> None:
        if step.status.is_terminal:
            return
        status = transitions.step_status(run.status)
        error = run.last_error if status is RunStepStatus.FAILED else None
        ended = transitions.move_step(step, status, self.now(), usage=run.usage, last_error=error)
        self.durable.write_json(self._files.step(run, step.id), ended)

    # -- loading and locking -----------------------------------------------------------------------------------------

    @contextmanager
    def _thread(self, thread_id: str) -> Iterator[ThreadState]:
        """The thread's state, under its lock."""
        if not is_id(thread_id, "thread"):
            raise ObjectNotFoundError("thread", thread_id)
        with self._locks[zlib.crc32(thread_id.encode()) % _LOCKS]:
            state = self._cache.get(thread_id)
            if state is None:
                state = self._load(thread_id)
            try:
                yield state
            finally:
                if self._cache.get(thread_id) is state:
                    self._cache.put(thread_id, state)

    def _load(self, thread_id: str) -> ThreadState:
        thread = self._files.read_thread(thread_id)
        state = ThreadState(thread, self._files.log(self._files.thread_dir(thread_id)))
        state.runs = {run.id: run for run in self._files.read_runs(thread_id)}
        self._cache.put(thread_id, state)
        self._settle_strays(state)
        return state

    def _settle_strays(self, state: ThreadState) -> None:
        """A run that nobody is going to end (its marker was lost) would lock its thread for ever."""
        for run in [run for run in state.runs.values() if not run.status.is_terminal and run.id not in self._live]:
            try:
                run = self._settle(state, run)
                if not run.status.is_terminal:
                    self._put_run(state, self._interrupted(run))
            except StoreError as error:
                _log.warning("stray run cannot be stored as ended: run_id %s, %s", run.id, error)
                state.runs[run.id] = self._interrupted(run)

    def _interrupted(self, run: Run) -> Run:
        return transitions.move_run(run, RunStatus.FAILED, self.now(), last_error=transitions.INTERRUPTED)


def _apply(messages: dict[str, ThreadMessage], record: ThreadMessage) -> None:
    if record.deleted:
        messages.pop(record.id, None)
    else:
        messages[record.id] = record
