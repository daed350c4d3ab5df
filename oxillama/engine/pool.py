"""The engines of one process: each is opened when it is first leased, and stays open until the pool is left.

    async with EnginePool.open({"small": ModelSource("small.gguf")}) as pool:
        async with pool.lease("small") as engine:
            ...

A lease is the promise that its engine stays open while the block runs. Every engine has its own threads. If several
models work at the same time, the operating system alone divides the processors between them.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from oxillama.concurrency import open_nursery
from oxillama.engine.api.config import EngineConfig
from oxillama.engine.engine import Engine
from oxillama.errors import EngineClosedError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from os import PathLike

    from oxillama.engine.api.config import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """The path of a model and how to open it. progress: called from another thread with the share loaded, 0 to 1."""

    path: str | PathLike[str]
    config: EngineConfig = field(default_factory=EngineConfig)
    progress: Progress | None = None


class EnginePool:
    """Engines by name. Made by `EnginePool.open`."""

    def __init__(self, sources: Mapping[str, ModelSource], nursery: trio.Nursery) -> None:
        self._sources = dict(sources)
        self._nursery = nursery
        self._engines: dict[str, Engine] = {}
        self._loading = {name: trio.Lock() for name in self._sources}
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, sources: Mapping[str, ModelSource]) -> AsyncIterator[EnginePool]:
        """A pool of these models, none of them loaded yet. Leaving closes the engines.

        If an engine fails, the block is cancelled and EngineClosedError raised.
        """
        async with open_nursery() as nursery:
            pool = cls(sources, nursery)
            try:
                yield pool
            finally:
                pool._closed = True
                nursery.cancel_scope.cancel()

    @property
    def names(self) -> tuple[str, ...]:
        """The models that can be leased."""
        return tuple(self._sources)

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Engine]:
        """The engine of a model, open until the block is left; loads the model unless it is loaded.

        Raises ObjectNotFoundError for a name that is not in the pool, EngineClosedError once the pool is closed, and
        what `Engine.open` raises. A model that could not be loaded is tried again by the next lease.
        """
        if name not in self._sources:
            raise ObjectNotFoundError("model", name)
        async with self._loading[name]:
            if self._closed:
                raise EngineClosedError("the engines have been closed")
            if name not in self._engines:
                self._engines[name] = await self._nursery.start(self._hold, name)
        yield self._engines[name]

    async def _hold(self, name: str, task_status: trio.TaskStatus[Engine]) -> None:
        """Keep an engine open until it fails or the pool is closed."""
        source = self._sources[name]
        async with Engine.open(source.path, source.config, progress=source.progress) as engine:
            task_status.started(engine)
            await engine.prepare_grammars()  # now, because it would make the answers wait that are under way later
            raise EngineClosedError(await engine.wait_stopped() or "the engine has stopped")
