"""Opens an engine for one command, with a progress bar."""

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
async def opened(
    path: Path,
    *,
    threads: int | None,
    ctx_size: int | None,
    kv_type: str,
    processors: tuple[int, ...] | None = None,
) -> AsyncIterator[Engine]:
    """Open an engine for one request at a time. A progress bar shows the loading of large models on a terminal."""
    config = EngineConfig(n_threads=threads, cpu_affinity=processors, n_ctx=ctx_size, kv_type=kv_type, parallel=1)
    async with AsyncExitStack() as stack:
        stack.enter_context(plain_log())
        with load_progress(path) as progress:
            engine = await stack.enter_async_context(Engine.open(path, config, progress=progress))
        yield engine


@contextmanager
def plain_log() -> Iterator[None]:
    """Print the package's log records on standard error, one line each."""
    log, handler = logging.getLogger("oxillama"), _Lines()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Lines(logging.Handler):
    """Prints warnings and tracebacks of bugs. Expected errors are left out: the command reports them when it ends."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            print(f"oxillama: {one_line(record.getMessage())}", file=sys.stderr, flush=True)
        elif status_of(error) is None:
            print(logging.Formatter("oxillama: %(message)s").format(record), file=sys.stderr, flush=True)
