"""Where everything of a thread lies, and reading it: paths of checked ids, and typed records in place of bytes."""

from __future__ import annotations

import logging
import posixpath

import msgspec

from oxillama.assistants.records.types import Run, RunStep, Thread, ThreadMessage
from oxillama.errors import ObjectNotFoundError, StoreDamagedError
from oxillama.storage.durable import Durable
from oxillama.storage.jsonl import JsonlFile

_log = logging.getLogger(__name__)


class ThreadFiles:
    """The layout that `store` draws. Ids must have been checked: they become parts of paths."""

    def __init__(self, data_dir: str, durable: Durable) -> None:
        self.durable = durable
        self.threads = posixpath.join(data_dir, "threads")
        self.active = posixpath.join(data_dir, "active")
        for path in (self.threads, self.active):
            durable.make_dir(path)

    def thread_dir(self, thread_id: str) -> str:
        return posixpath.join(self.threads, thread_id)

    def meta(self, thread_id: str) -> str:
        return posixpath.join(self.thread_dir(thread_id), "meta.json")

    def runs_dir(self, thread_id: str) -> str:
        return posixpath.join(self.thread_dir(thread_id), "runs")

    def run_dir(self, thread_id: str, run_id: str) -> str:
        return posixpath.join(self.runs_dir(thread_id), run_id)

    def status(self, run: Run) -> str:
        return posixpath.join(self.run_dir(run.thread_id, run.id), "status.json")

    def steps_dir(self, thread_id: str, run_id: str) -> str:
        return posixpath.join(self.run_dir(thread_id, run_id), "steps")

    def step(self, run: Run, step_id: str) -> str:
        return posixpath.join(self.steps_dir(run.thread_id, run.id), f"{step_id}.json")

    def marker(self, run_id: str) -> str:
        return posixpath.join(self.active, f"{run_id}.json")

    def log(self, thread_dir: str) -> JsonlFile[ThreadMessage]:
        return JsonlFile(self.durable, posixpath.join(thread_dir, "messages.jsonl"), ThreadMessage)

    def clear(self, path: str) -> None:
        """Remove from a directory what a crash left half made or half removed."""
        try:
            names = self.durable.disk.listdir(path)
        except OSError:
            return
        for name in names:
            if name.startswith((".tmp-", ".trash-")):
                self.durable.discard_tree(posixpath.join(path, name))

    def read_thread(self, thread_id: str) -> Thread:
        """Raises ObjectNotFoundError or StoreDamagedError, as all of these."""
        try:
            thread = self.durable.read_json(self.meta(thread_id), Thread)
        except FileNotFoundError:
            raise self._missing(self.meta(thread_id), "thread", thread_id) from None
        return msgspec.structs.replace(thread, id=thread_id)

    def read_run(self, thread_id: str, run_id: str) -> Run:
        path = posixpath.join(self.run_dir(thread_id, run_id), "status.json")
        try:
            run = self.durable.read_json(path, Run)
        except FileNotFoundError:
            raise self._missing(path, "run", run_id) from None
        return msgspec.structs.replace(run, id=run_id, thread_id=thread_id)

    def read_runs(self, thread_id: str) -> list[Run]:
        """Oldest first, without the damaged ones."""
        runs: list[Run] = []
        for run_id in self.durable.list_dir(self.runs_dir(thread_id)):
            try:
                runs.append(self.read_run(thread_id, run_id))
            except (StoreDamagedError, ObjectNotFoundError) as error:
                _log.error("run left out: %s", error)
        return sorted(runs, key=lambda run: (run.created_at, run.sequence))

    def read_step(self, run: Run, step_id: str) -> RunStep:
        try:
            step = self.durable.read_json(self.step(run, step_id), RunStep)
        except FileNotFoundError:
            raise ObjectNotFoundError("run step", step_id) from None
        return msgspec.structs.replace(step, id=step_id, run_id=run.id, thread_id=run.thread_id)

    def read_steps(self, run: Run) -> list[RunStep]:
        """Oldest first, without the damaged ones."""
        steps: list[RunStep] = []
        for name in self.durable.list_dir(self.steps_dir(run.thread_id, run.id)):
            try:
                steps.append(self.read_step(run, name.removesuffix(".json")))
            except StoreDamagedError as error:
                _log.error("step left out: %s", error)
        return sorted(steps, key=lambda step: (step.created_at, step.sequence))

    def _missing(self, path: str, kind: str, object_id: str) -> Exception:
        """Directories appear whole, so one without its file has lost it."""
        if self.durable.disk.isdir(posixpath.dirname(path)):
            return StoreDamagedError(f"{path} is missing.")
        return ObjectNotFoundError(kind, object_id)
