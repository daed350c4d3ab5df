"""Admission: requests are refused at once when the queue is full; otherwise a few prompts are prepared at a time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from oxillama.errors import EngineBusyError
from oxillama.server.access.pace import Pace
from oxillama.server.wire.invalid import out_of_range

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from oxillama.engine.api.protocol import EngineLike

PREPARED_AT_ONCE = 4


class Admission:
    """Counts the requests between their arrival and the engine's queue, where their prompts are made.

    If a burst of requests made all their prompts at once, they would hold up the event loop for every client. Requests
    that the engine would refuse are refused before their prompts are made.
    """

    def __init__(self) -> None:
        self._turns = trio.CapacityLimiter(PREPARED_AT_ONCE)
        self._preparing = 0
        self._pace = Pace()

    def check_room(self, engine: EngineLike, choices: int = 1) -> None:
        """Raises EngineBusyError (429) when there is no room for `choices` generations; see `preparing`."""
        now = engine.statistics()
        room = now.n_slots + now.max_waiting
        if choices > room:
            raise out_of_range("n", "int", "<=", room, choices)
        self._pace.look(now)
        too_many = now.active + now.waiting + self._preparing + choices - room
        if too_many > 0:
            message = "Too many requests are waiting; please try again shortly."
            raise EngineBusyError(message, retry_after=self._pace.seconds_until(too_many))

    @asynccontextmanager
    async def preparing(self, engine: EngineLike, choices: int = 1) -> AsyncIterator[None]:
        """Make the prompt of `choices` generations inside the block, and open them right after it, before any `await`.

        Raises EngineBusyError (429) at once when there is no room for them, and APIError 400 for more choices than the
        engine can ever take, because waiting would not help.
        """
        self.check_room(engine, choices)
        self._preparing += choices
        try:
            async with self._turns:
                yield
        finally:
            self._preparing -= choices
