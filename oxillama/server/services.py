"""What runs beside the HTTP server: the engine, and what works through it. One block of code owns it all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from oxillama.errors import InvalidParameterError
from oxillama.server.state import Phase, ServerState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from oxillama.engine import Engine
    from oxillama.server.config import ServerConfig


@asynccontextmanager
async def running(state: ServerState) -> AsyncIterator[None]:
    """Load the model and serve it until the block is left. Raises what loading raises."""
    async with open_engine(state.config) as engine:
        state.attach(engine)
        try:
            yield
        finally:
            state.phase = Phase.STOPPED


def open_engine(config: ServerConfig) -> AbstractAsyncContextManager[Engine]:
    """The engine that `config` describes, not yet loaded."""
    from oxillama.engine import Engine, EngineConfig  # deferred: the C core is for those who need it

    if config.model is None:
        message = "no model is named: set `model` in oxillama.toml, OXILLAMA_MODEL or --model to a GGUF file"
        raise InvalidParameterError(message, param="model")
    return Engine.open(config.model, EngineConfig())
