"""The runs of a thread, and the changes of status that are allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from oxillama.assistants.records import Run, RunStatus, RunStep, ThreadMessage, transitions
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.errors import StateConflictError, StoreDamagedError, StoreError
from oxillama.storage.collection import Cut, Part


class RunStore:
    """The runs of all threads of a data directory."""

    def __init__(self, threads: OpenThreads) -> None:
        self._open = threads
        self._layout = threads.layout

    def create(self, run: Run, additional_messages: Sequence[ThreadMessage] = (), *, queue: bool = False) -> Run:
        """Store a new run and add messages to its thread, both or neither.

        queue: if another run is active, this one waits for its turn, and so do its messages; else it is refused with
        StateConflictError.
        """
        with self._open.use(run.thread_id) as state:
            active = state.active_run
            if active is not None:
                if not queue:
                    raise StateConflictError(f"Thread {run.thread_id} already has an active run {active.id}.")
                run = msgspec.structs.replace(run, held=list(additional_messages))
                additional_messages = ()
            for message in additional_messages:
                self._open.append(state, message)
            runs = self._layout.runs(run.thread_id)
            run = runs.following(run)
            runs.put(run)
            return run

    def get(self, thread_id: str, run_id: str) -> Run:
        with self._open.look(thread_id) as state:
            return self._open.run(state, run_id)

    def list(self, thread_id: str) -> list[Run]:
        """All runs, oldest first; damaged ones are left out (and logged)."""
        with self._open.look(thread_id):
            return self._layout.runs(thread_id).list()

    def page(self, thread_id: str, wanted: Cut) -> Part[Run]:
        """Part of the list, and whether there is more."""
        with self._open.look(thread_id):
            return self._layout.runs(thread_id).cut(wanted)

    def active(self, thread_id: str) -> Run | None:
        """The run that has not ended and locks the thread."""
        with self._open.look(thread_id) as state:
            return state.active_run

    def update(self, thread_id: str, run_id: str, **changes: Any) -> Run:
        """Replace fields of a run other than its status. Writes nothing if nothing changes."""
        with self._open.use(thread_id) as state:
            run = self._open.run(state, run_id)
            changed = msgspec.structs.replace(run, **changes)
            return run if changed == run else self._open.put_run(changed)

    def update_status(self, thread_id: str, run_id: str, status: RunStatus, **changes: Any) -> Run:
        """Change a run's status and the times that belong to it. A run that has ended cannot be changed."""
        with self._open.use(thread_id) as state:
            run = self._open.run(state, run_id)
            if run.status.is_terminal:
                raise StateConflictError(f"Run {run_id} has ended with status '{run.status}'.")
            if run.status is RunStatus.CANCELLING and not status.is_terminal:
                raise StateConflictError(f"Run {run_id} is being cancelled.")
            return self._open.put_run(transitions.move_run(run, status, self._open.now(), **changes))

    def begin(self, thread_id: str, run_id: str, lifetime: float) -> Run:
        """Note that a worker begins a run, after the messages that the run held have been added to the thread.

        lifetime: seconds after which the run expires, counted from the first time it begins. Raises StateConflictError
        if it has ended or is being cancelled.
        """
        with self._open.use(thread_id) as state:
            run = self._open.run(state, run_id)
            transitions.require_beginning(run)
            for message in run.held:
                if self._layout.messages(thread_id).find(message.id) is None:
                    self._open.append(state, message)
            changes: dict[str, Any] = {"attempts": run.attempts + 1, "held": []}
            now = self._open.now()
            if run.started_at is None:
                changes["expires_at"] = now + int(lifetime)
            return self._open.put_run(transitions.move_run(run, RunStatus.IN_PROGRESS, now, **changes))

    def submit_outputs(self, thread_id: str, run_id: str, outputs: Sequence[tuple[str, str]]) -> tuple[Run, RunStep]:
        """Store the outputs (call id, text) that a run waits for. Returns the run, queued again, and its step.

        Raises StateConflictError if the run does not wait, or if there is not exactly one output for each call.
        """
        with self._open.use(thread_id) as state:
            run = self._open.run(state, run_id)
            transitions.require_waiting(run)
            steps = self._layout.steps(thread_id, run_id)
            newest = next(reversed(steps.list()), None)
            if newest is None:
                raise StoreDamagedError(f"{run_id} waits for tool outputs, but the step with its calls cannot be read")
            step = transitions.submitted(newest, outputs, self._open.now())
            steps.put(step)
            queued = transitions.move_run(run, RunStatus.QUEUED, self._open.now(), attempts=0)
            return self._open.put_run(queued), step

    def request_cancel(self, thread_id: str, run_id: str) -> Run:
        """Mark a run as being cancelled; its worker ends it. Doing it twice does no harm."""
        with self._open.use(thread_id) as state:
            run = self._open.run(state, run_id)
            if run.status.is_terminal:
                raise StateConflictError(f"Cannot cancel run with status '{run.status}'.")
            if run.status is RunStatus.CANCELLING:
                return run
            return self._open.put_run(transitions.move_run(run, RunStatus.CANCELLING, self._open.now()))

    def release(self, thread_id: str, run_id: str) -> Run:
        """Settle an unfinished run that its worker gives back, as a restart would: it is queued again or has ended."""
        with self._open.use(thread_id) as state:
            run = self._open.run(state, run_id)
            if run.status.is_terminal:
                return run
            # An orderly stop does not count as an attempt.
            return self._open.settle(msgspec.structs.replace(run, attempts=max(0, run.attempts - 1)))

    def abandon(self, thread_id: str, run_id: str) -> Run:
        """Give up a run whose end cannot be stored as usual. Returns the ended run.

        On a full disk the end takes space that is kept for it. If even that fails, the next start takes the run up
        again, so clients must not see an end: StoreError is raised, now and whenever the run is read.
        """

        def abandon() -> Run:
            with self._open.use(thread_id) as state:
                run = self._open.run(state, run_id)
                if run.status.is_terminal:
                    return run
                ended = transitions.settle_abandoned(run, self._open.answer(run), self._open.now())
                return self._open.put_run(ended)

        try:
            return self._layout.database.freeing(abandon)
        except StoreError:
            self._open.unknown.add(run_id)
            raise
