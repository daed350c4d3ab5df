"""The state of a thread in memory, and a cache of such states."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from oxillama.assistants.records import Run, Thread, ThreadMessage
from oxillama.storage.jsonl import JsonlFile


@dataclass(slots=True)
class ThreadState:
    """One thread as it is on disk. Used under the thread's lock.

    messages: by id, oldest first; None until they are read. runs: by id, oldest first, without damaged ones.
    """

    thread: Thread
    log: JsonlFile[ThreadMessage]
    messages: dict[str, ThreadMessage] | None = None
    runs: dict[str, Run] = field(default_factory=dict)
    last_created_at: int = 0

    @property
    def active_run(self) -> Run | None:
        """The run that locks the thread: the oldest that has not ended. Others wait for their turn."""
        return next((run for run in self.runs.values() if not run.status.is_terminal), None)

    @property
    def weight(self) -> int:
        """The approximate size in memory, in bytes."""
        return 4096 + 3 * self.log.size + sum(2048 + len(run.instructions) for run in self.runs.values())


class StateCache:
    """The most recently used threads, up to a total weight. Safe to use from several threads."""

    def __init__(self, max_weight: int) -> None:
        self._max_weight = max_weight
        self._states: OrderedDict[str, tuple[ThreadState, int]] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, thread_id: str) -> ThreadState | None:
        with self._lock:
            entry = self._states.get(thread_id)
            if entry is None:
                return None
            self._states.move_to_end(thread_id)
            return entry[0]

    def put(self, thread_id: str, state: ThreadState) -> None:
        """Add a state, or update its weight. The least recently used ones are dropped to make room."""
        weight = state.weight
        with self._lock:
            self._discard(thread_id)
            self._states[thread_id] = state, weight
            self._weight += weight
            while self._weight > self._max_weight and len(self._states) > 1:
                self._discard(next(iter(self._states)))

    def discard(self, thread_id: str) -> None:
        with self._lock:
            self._discard(thread_id)

    def _discard(self, thread_id: str) -> None:
        entry = self._states.pop(thread_id, None)
        if entry is not None:
            self._weight -= entry[1]
