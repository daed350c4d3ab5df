"""An engine for one command, loaded under the eyes of the user."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from oxillama.cli.shared.guard import one_line, status_of
from oxillama.cli.shared.terminal.progress import load_progress
from oxillama.engine.api.config import EngineConfig
from oxillama.engine.engine import Engine


@asynccontextmanager
async def opened(path: Path, *, threads: int | None, ctx_size: int | None, kv_type: str) -> AsyncIterator[Engine]:
    """An engine for one request at a time; a bar shows how far loading has come, where there is something to see."""
    config = EngineConfig(n_threads=threads, n_ctx=ctx_size, kv_type=kv_type, parallel=1)
    async with AsyncExitStack() as stack:
        stack.enter_context(plain_log())
        with load_progress(path) as progress:
            engine = await stack.enter_async_context(Engine.open(path, config, progress=progress))
        yield engine


@contextmanager
def plain_log() -> Iterator[None]:
    """What the package logs, as a line each on standard error."""
    log, handler = logging.getLogger("oxillama"), _Lines()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Lines(logging.Handler):
    """Writes warnings. Expected errors end the command, which then says so; of a fault the traceback is shown."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            print(f"oxillama: {one_line(record.getMessage())}", file=sys.stderr, flush=True)
        elif status_of(error) is None:
            print(logging.Formatter("oxillama: %(message)s").format(record), file=sys.stderr, flush=True)
