"""The steps of a run."""

from __future__ import annotations

from typing import Any

from oxillama.assistants.records import RunStep, RunStepStatus, transitions
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.errors import StateConflictError
from oxillama.storage.collection import Cut, Part


class StepStore:
    """The steps of all runs of a data directory."""

    def __init__(self, threads: OpenThreads) -> None:
        self._open = threads
        self._layout = threads.layout

    def append(self, step: RunStep) -> RunStep:
        """Add a step to its run."""
        with self._open.use(step.thread_id) as state:
            self._open.run(state, step.run_id)
            steps = self._layout.steps(step.thread_id, step.run_id)
            step = steps.following(step)
            steps.put(step)
            return step

    def replace(self, step: RunStep) -> RunStep:
        """Store a new version of a step of a run that has not ended. Raises StateConflictError if it has."""
        with self._open.use(step.thread_id) as state:
            run = self._open.run(state, step.run_id)
            if run.status.is_terminal:
                raise StateConflictError(f"Run {run.id} has ended with status '{run.status}'.")
            self._layout.steps(step.thread_id, step.run_id).put(step)
            return step

    def get(self, thread_id: str, run_id: str, step_id: str) -> RunStep:
        with self._open.look(thread_id) as state:
            self._open.run(state, run_id)
            return self._layout.steps(thread_id, run_id).get(step_id)

    def list(self, thread_id: str, run_id: str) -> list[RunStep]:
        """All steps of a run, oldest first; damaged ones are left out (and logged)."""
        with self._open.look(thread_id) as state:
            self._open.run(state, run_id)
            return self._layout.steps(thread_id, run_id).list()

    def page(self, thread_id: str, run_id: str, wanted: Cut) -> Part[RunStep]:
        """Part of the list, and whether there is more."""
        with self._open.look(thread_id) as state:
            self._open.run(state, run_id)
            return self._layout.steps(thread_id, run_id).cut(wanted)

    def update_status(
        self, thread_id: str, run_id: str, step_id: str, status: RunStepStatus, **changes: Any
    ) -> RunStep:
        """Change a step's status and the time that belongs to it."""
        with self._open.use(thread_id) as state:
            self._open.run(state, run_id)
            steps = self._layout.steps(thread_id, run_id)
            step = transitions.move_step(steps.get(step_id), status, self._open.now(), **changes)
            steps.put(step)
            return step
