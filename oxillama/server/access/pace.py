"""How fast a full engine gets through its requests, so that a refused one is told when to come again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from oxillama.engine.api.types import EngineStatistics

WINDOW_S = 60.0


class Pace:
    """Measured while all slots are taken, from the requests that end between two looks; nothing runs for it.

    The measurement begins anew after WINDOW_S, and whenever a slot was free: an idle engine's time says nothing.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._ended = 0
        self._per_request: float | None = None

    def look(self, now: EngineStatistics) -> None:
        """Take note of the engine as it is; called for every request that comes."""
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
        """About how long it takes until `n` more requests have ended; 0 where nothing is known.

        As long as none has ended, the first takes at least as long as it was waited for.
        """
        waited = 0.0 if self._since is None else trio.current_time() - self._since
        return n * (waited if self._per_request is None else self._per_request)
