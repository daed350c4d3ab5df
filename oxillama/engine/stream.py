"""The events of one generation, between the compute thread's step and the reader."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import trio

from oxillama.engine.api.types import Timings, TokenEvent, TokenLogprob, Usage
from oxillama.errors import OxillamaError

if TYPE_CHECKING:
    from oxillama.engine.decoding.generation import Generation


class EngineStream:
    """The events of one generation; see `protocol.GenerationStream`."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._events: deque[TokenEvent] = deque()
        self._error: OxillamaError | None = None
        self.over = False
        self._reader = trio.lowlevel.ParkingLot()

    def __aiter__(self) -> EngineStream:
        return self

    async def __anext__(self) -> TokenEvent:
        if self._events or self.over:
            await trio.lowlevel.checkpoint()
        while not self._events:
            if self._error is not None:
                raise self._error
            if self.over:
                raise StopAsyncIteration
            await self._reader.park()
        return self._events.popleft()

    @property
    def usage(self) -> Usage:
        return self._generation.usage

    @property
    def timings(self) -> Timings:
        return self._generation.timings(time.monotonic())

    @property
    def prompt_logprobs(self) -> tuple[TokenLogprob | None, ...]:
        return tuple(self._generation.prompt_logprobs)

    def deliver(self, item: TokenEvent | OxillamaError) -> None:
        if isinstance(item, TokenEvent):
            self._events.append(item)
            self.over = item.finish_reason is not None
        else:
            self._error = item
            self.over = True
        self._reader.unpark_all()
