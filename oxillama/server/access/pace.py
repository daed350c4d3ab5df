"""How fast a full engine finishes requests, to tell a refused client when to retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from oxillama.engine.api.types import EngineStatistics

WINDOW_S = 60.0


class Pace:
    """The rate is measured while all slots are taken, from the requests that end between two calls of `look`.

    The measurement restarts after WINDOW_S, and whenever a slot was free: the rate of an idle engine means nothing.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._ended = 0
        self._per_request: float | None = None

    def look(self, now: EngineStatistics) -> None:
        """Note the engine's state; called for every request that arrives."""
        if now.active < now.n_slots:
            self._since = None
            return
        time = trio.current_time()
        if self._since is None:
            self._since, self._ended = time, now.requests_total
        elapsed, ended = time - self._since, now.requests_total - self._ended
        if ended:
            self._per_request = elapsed / ended
        if elapsed > WINDOW_S and ended:
            self._since, self._ended = time, now.requests_total

    def seconds_until(self, n: int) -> float:
        """Estimated seconds until `n` more requests have ended; 0 if nothing is known.

        While none has ended, the first is assumed to take at least the time since the measurement began.
        """
        waited = 0.0 if self._since is None else trio.current_time() - self._since
        return n * (waited if self._per_request is None else self._per_request)
