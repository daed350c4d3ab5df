"""What runs beside the HTTP server: the engine, and what works through it. One block of code owns it all."""

from __future__ import annotations

import os
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oxillama.assistants.service import open_assistants
from oxillama.errors import InvalidParameterError, StoreError
from oxillama.server.state import Phase, ServerState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from oxillama.assistants.service import Assistants
    from oxillama.engine import Engine
    from oxillama.engine.protocol import EngineLike
    from oxillama.server.config import ServerConfig


@asynccontextmanager
async def running(state: ServerState) -> AsyncIterator[None]:
    """Load the model and serve it until the block is left. Raises what loading raises."""
    async with open_engine(state.config) as engine, attached(state, engine):
        yield


@asynccontextmanager
async def attached(state: ServerState, engine: EngineLike) -> AsyncIterator[None]:
    """Serve an engine that is open: its routes, and the runs of the data directory."""
    async with AsyncExitStack() as stack:
        state.assistants = await stack.enter_async_context(open_data(state, engine))
        state.attach(engine)
        try:
            yield
        finally:
            state.phase = Phase.STOPPED
            state.assistants = None


@asynccontextmanager
async def open_data(state: ServerState, engine: EngineLike) -> AsyncIterator[Assistants]:
    """The data directory that was set. Without a setting it is the user's own, which one server at a time can have:
    a second one keeps its threads in a temporary directory, and says so. Raises StoreError for one that was set."""
    async with AsyncExitStack() as stack:
        if state.config.data_dir is not None:
            opened = await stack.enter_async_context(open_assistants(state.config.data_dir, engine))
        else:
            opened = await _open_default_data(state, engine, stack)
        yield opened


async def _open_default_data(state: ServerState, engine: EngineLike, stack: AsyncExitStack) -> Assistants:
    directory = default_data_dir()
    try:
        return await stack.enter_async_context(open_assistants(directory, engine))
    except (StoreError, OSError) as error:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="oxillama-"))
        state.log.warning("threads are kept until the server stops only: give --data-dir", reason=str(error))
        return await stack.enter_async_context(open_assistants(temporary, engine))


def default_data_dir() -> Path:
    """Where the data of this user belongs (XDG base directories)."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path("~/.local/share").expanduser()) / "oxillama"


def open_engine(config: ServerConfig) -> AbstractAsyncContextManager[Engine]:
    """The engine that `config` describes, not yet loaded."""
    from oxillama.engine import Engine, EngineConfig  # deferred: the C core is for those who need it

    if config.model is None:
        message = "no model is named: set `model` in oxillama.toml, OXILLAMA_MODEL or --model to a GGUF file"
        raise InvalidParameterError(message, param="model")
    return Engine.open(config.model, EngineConfig())
