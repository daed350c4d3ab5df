"""An engine for one command, loaded under the eyes of the user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from oxillama.cli.shared.terminal.progress import load_progress
from oxillama.engine.api.config import EngineConfig
from oxillama.engine.engine import Engine


@asynccontextmanager
async def opened(path: Path, *, threads: int | None, ctx_size: int | None, kv_type: str) -> AsyncIterator[Engine]:
    """An engine for one request at a time; a bar shows how far loading has come, where there is something to see."""
    config = EngineConfig(n_threads=threads, n_ctx=ctx_size, kv_type=kv_type, parallel=1)
    async with AsyncExitStack() as stack:
        with load_progress(path) as progress:
            engine = await stack.enter_async_context(Engine.open(path, config, progress=progress))
        yield engine
