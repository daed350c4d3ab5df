"""What runs beside the HTTP server: the engine, and what works through it. One block of code owns it all."""

from __future__ import annotations

import os
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oxillama.assistants.service import open_assistants
from oxillama.concurrency import open_nursery
from oxillama.errors import EngineClosedError, InvalidParameterError, StoreError
from oxillama.server.state import Phase, ServerState
from oxillama.storage.data_dir import open_data_dir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from oxillama.assistants.service import Assistants
    from oxillama.engine.api.config import Progress
    from oxillama.engine.api.protocol import EngineLike
    from oxillama.engine.engine import Engine
    from oxillama.server.config import ServerConfig


@asynccontextmanager
async def running(state: ServerState, *, progress: Progress | None = None) -> AsyncIterator[None]:
    """Load the model and serve it until the block is left. Raises what loading raises.

    Should the engine fail, the block is cancelled and EngineClosedError raised. An engine that is attached already is
    only served, and its data directory only opened if one is set.
    """
    if state.engine is not None:
        async with AsyncExitStack() as stack:
            if state.config.data_dir is not None:
                await stack.enter_async_context(attached(state, state.engine))
            yield
        return
    async with open_engine(state.config, progress=progress) as engine, open_nursery() as nursery:
        nursery.start_soon(_fail_with, engine)
        async with attached(state, engine):
            yield
        nursery.cancel_scope.cancel()


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
            opened = await _open_in(state.config.data_dir, engine, stack)
        else:
            opened = await _open_default_data(state, engine, stack)
        yield opened


async def _open_default_data(state: ServerState, engine: EngineLike, stack: AsyncExitStack) -> Assistants:
    directory = default_data_dir()
    try:
        return await _open_in(directory, engine, stack)
    except (StoreError, OSError) as error:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="oxillama-"))
        state.log.warning("threads are kept until the server stops only: give --data-dir", reason=str(error))
        return await _open_in(temporary, engine, stack)


async def _open_in(directory: str | os.PathLike[str], engine: EngineLike, stack: AsyncExitStack) -> Assistants:
    data = await stack.enter_async_context(open_data_dir(directory))
    return await stack.enter_async_context(open_assistants(data, engine))


def default_data_dir() -> Path:
    """Where the data of this user belongs (XDG base directories)."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path("~/.local/share").expanduser()) / "oxillama"


async def _fail_with(engine: Engine) -> None:
    raise EngineClosedError(await engine.wait_stopped() or "the engine has stopped")


def open_engine(config: ServerConfig, *, progress: Progress | None = None) -> AbstractAsyncContextManager[Engine]:
    """The engine that `config` describes, not yet loaded."""
    from oxillama.core._core import PAGE_TOKENS  # deferred: the C core is for those who need it
    from oxillama.engine.api.config import EngineConfig
    from oxillama.engine.engine import Engine

    if config.model is None:
        message = "no model is named: set `model` in oxillama.toml, OXILLAMA_MODEL or --model to a GGUF file"
        raise InvalidParameterError(message, param="model")
    given: dict[str, Any] = {
        "n_threads": config.threads,
        "n_ctx": config.ctx_size,
        "kv_type": config.kv_type,
        "parallel": config.parallel,
        "max_waiting": config.max_waiting,
        "kv_pages": None if config.cache_tokens is None else -(-config.cache_tokens // PAGE_TOKENS),
        "max_generation_s": config.generation_timeout,
    }
    return Engine.open(
        config.model, EngineConfig(**{k: v for k, v in given.items() if v is not None}), progress=progress
    )
