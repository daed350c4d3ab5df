"""What all executions of runs share."""

from __future__ import annotations

from dataclasses import dataclass

from oxillama.assistants.records import RUN_LIFETIME_S
from oxillama.assistants.run.live import LiveRuns
from oxillama.assistants.store.store import Store
from oxillama.concurrency import Offload
from oxillama.engine.api.protocol import EngineLike
from oxillama.vector_stores.passages import FileSearch


@dataclass(slots=True)
class RunContext:
    """The objects that all executions share."""

    store: Store
    engine: EngineLike
    live: LiveRuns
    in_thread: Offload
    isolate: bool = False
    """Runs share computed prompts only with runs of the same thread."""
    lifetime: float = RUN_LIFETIME_S
    """Seconds after the start of its work when a run expires."""
    search: FileSearch | None = None
    """Searches files; None: there are none."""
    stopping: bool = False
    """The server is draining: it begins no more runs and leaves waiting runs to the next start."""


class StoppingError(Exception):
    """The run is left to the server's next start."""
