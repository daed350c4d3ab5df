"""What the Assistants API must answer, kept in plain lists: the other side of a property test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LIFETIME_S = 600
MAX_ATTEMPTS = 3

ACTIVE = ("in_progress", "requires_action")


@dataclass
class RunModel:
    """rounds: how often the model calls functions before it answers; calls: how many each time. asked: the ids of the
    calls that wait for outputs. deadline: when the run expires."""

    id: str
    created_at: int
    rounds: int
    calls: int
    deadline: float
    status: str = "in_progress"
    done: int = 0
    attempts: int = 1
    steps: list[tuple[str, str]] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE


@dataclass
class ThreadModel:
    """messages: as the API answers them, without what the model cannot know."""

    id: str
    metadata: dict[str, str]
    messages: list[dict[str, Any]] = field(default_factory=list)
    runs: list[RunModel] = field(default_factory=list)

    @property
    def active(self) -> RunModel | None:
        return next((run for run in self.runs if run.is_active), None)


@dataclass
class Model:
    """assistants: by id, oldest first. held: whether the engine is stopped before each answer."""

    assistants: dict[str, dict[str, Any]] = field(default_factory=dict)
    threads: dict[str, ThreadModel] = field(default_factory=dict)
    held: bool = False

    def settle(self, now: float) -> None:
        """What happens by itself: runs expire, and go on as far as they can."""
        for thread in self.threads.values():
            for run in thread.runs:
                if run.is_active and run.deadline <= now:
                    self._end(run, "expired")
                elif run.status == "in_progress" and not self.held:
                    self._go_on(thread, run)

    def _go_on(self, thread: ThreadModel, run: RunModel) -> None:
        if run.done < run.rounds:
            run.status = "requires_action"
            run.steps.append(("tool_calls", "in_progress"))
            return
        text = "Results: " + ", ".join(run.outputs)
        thread.messages.append({"role": "assistant", "text": text, "metadata": {}, "run_id": run.id, "id": None})
        run.steps.append(("message_creation", "completed"))
        run.status = "completed"

    def _end(self, run: RunModel, status: str) -> None:
        run.status, run.asked = status, []
        if run.steps and run.steps[-1][1] == "in_progress":
            run.steps[-1] = (run.steps[-1][0], status)

    def cancel(self, run: RunModel) -> None:
        self._end(run, "cancelled")

    def submit(self, run: RunModel, outputs: list[str]) -> None:
        run.outputs += outputs
        run.steps[-1] = ("tool_calls", "completed")
        run.done, run.status, run.asked, run.attempts = run.done + 1, "in_progress", [], 1

    def restart(self, *, crashed: bool) -> None:
        """Runs in progress are begun again; too many crashes end them."""
        for thread in self.threads.values():
            for run in thread.runs:
                if run.status == "in_progress" and crashed:
                    if run.attempts >= MAX_ATTEMPTS:
                        self._end(run, "failed")
                    else:
                        run.attempts += 1


def paged(
    items: list[str], *, order: str, limit: int, after: str | None = None, before: str | None = None
) -> tuple[list[str], bool]:
    """The page of a list (oldest first) that a request must get, and its `has_more`."""
    found = items if order == "asc" else items[::-1]
    if after is not None:
        found = found[found.index(after) + 1 :]
    if before is not None:
        found = found[: found.index(before)] if before in found else []
        if after is None:
            return found[-limit:], len(found) > limit
    return found[:limit], len(found) > limit
