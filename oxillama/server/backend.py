"""What runs beside the HTTP server: the engine, the data directory and the run worker. One block owns them all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from oxillama import machine
from oxillama.engine.api.config import PAGE_TOKENS, EngineConfig
from oxillama.engine.api.samplers import sampler_order
from oxillama.engine.api.types import SamplerParams
from oxillama.errors import InvalidParameterError
from oxillama.server.data import open_data
from oxillama.server.state import Phase, ServerState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from oxillama.engine.api.config import Progress
    from oxillama.engine.api.protocol import EngineLike
    from oxillama.engine.pool import ModelSource
    from oxillama.server.config import ServerConfig

MODEL = "model"
"""The name in the pool of the only model that a server has so far."""


@asynccontextmanager
async def running(state: ServerState, *, progress: Progress | None = None) -> AsyncIterator[None]:
    """Load the model and serve it until the block is left. Raises what loading raises.

    If the engine fails, the block is cancelled and EngineClosedError raised. An engine that is already attached is
    served without loading.
    """
    if state.engine is not None:
        async with attached(state, state.engine):
            yield
        return
    from oxillama.engine.pool import EnginePool  # deferred, because it loads the C core

    source = model_source(state.config, progress=progress)
    # One model, leased for as long as the server runs.
    async with EnginePool.open({MODEL: source}) as pool, pool.lease(MODEL) as engine, attached(state, engine):
        yield


@asynccontextmanager
async def attached(state: ServerState, engine: EngineLike) -> AsyncIterator[None]:
    """Serve an open engine: open the data directory, execute its runs, and take requests."""
    async with open_data(state, engine):
        state.attach(engine)
        state.log.info("ready", model=state.model_id, data_dir=None if state.data is None else state.data.path)
        try:
            yield
        finally:
            state.phase = Phase.STOPPED
            state.log.info("stopped")


def model_source(config: ServerConfig, *, progress: Progress | None = None) -> ModelSource:
    """The model in `config`, and how its engine is opened. Raises InvalidParameterError if there is none."""
    from oxillama.engine.pool import ModelSource  # deferred, because it loads the C core

    if config.model is None:
        message = "no model is named: set `model` in oxillama.toml, OXILLAMA_MODEL or --model to a GGUF file"
        raise InvalidParameterError(message, param="model")
    # A step has room for a token of every request that runs.
    n_batch = None if config.parallel is None else max(config.parallel, EngineConfig().n_batch)
    given: dict[str, Any] = {
        "n_batch": n_batch,
        "n_threads": config.threads,
        "cpu_affinity": None if config.cpu_affinity is None else machine.cpu_affinity(config.cpu_affinity),
        "n_ctx": config.ctx_size,
        "kv_type": config.kv_type,
        "pooling": config.pooling,
        "parallel": config.parallel,
        "max_waiting": config.max_waiting,
        "kv_pages": None if config.cache_tokens is None else -(-config.cache_tokens // PAGE_TOKENS),
        "max_generation_s": config.generation_timeout,
        "sampling": _sampling(config),
    }
    engine = EngineConfig(**{name: value for name, value in given.items() if value is not None})
    return ModelSource(path=config.model, config=engine, progress=progress)


def _sampling(config: ServerConfig) -> SamplerParams:
    """The settings of samplers. Raises InvalidParameterError."""
    values = {field.name: getattr(config, field.name) for field in fields(SamplerParams)} | config.sampler_values()
    if isinstance(config.samplers, str):
        values["samplers"] = sampler_order(config.samplers)
    return SamplerParams(**values)
