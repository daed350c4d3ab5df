"""The server's data directory: the configured one, the user's own, a temporary one, or none."""

from __future__ import annotations

import os
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oxillama.assistants.service import open_assistants
from oxillama.errors import StoreError
from oxillama.files.service import open_files
from oxillama.storage.data_dir import open_data_dir
from oxillama.user_files import user_dir
from oxillama.vector_stores.service import open_vector_stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from oxillama.engine.api.protocol import EngineLike
    from oxillama.server.state import ServerState


@asynccontextmanager
async def open_data(state: ServerState, engine: EngineLike) -> AsyncIterator[None]:
    """Open the data directory and the Assistants API on it, and attach both to `state` until the block is left.

    If none is configured, it is the user's own. Only one server at a time can use that; another one uses a temporary
    directory. If that cannot be made either, the server runs without the Assistants API. Both cases are logged. Raises
    StoreError if the configured directory cannot be used.
    """
    async with AsyncExitStack() as stack:
        try:
            if state.config.data_dir is not None:
                await _attach(state, state.config.data_dir, engine, stack)
            else:
                await _attach_default(state, engine, stack)
            yield
        finally:
            state.data = state.assistants = state.files = state.vector_stores = None


async def _attach_default(state: ServerState, engine: EngineLike, stack: AsyncExitStack) -> None:
    try:
        await _attach(state, default_data_dir(), engine, stack)
        return
    except (StoreError, OSError) as error:
        reason = str(error)
    try:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="oxillama-", ignore_cleanup_errors=True))
        await _attach(state, temporary, engine, stack)
        state.log.warning("threads are kept until the server stops only: give --data-dir", reason=reason)
    except (StoreError, OSError) as error:
        state.log.warning("no assistants, threads, runs and files: give --data-dir", reason=f"{reason}; {error}")


async def _attach(
    state: ServerState, directory: str | os.PathLike[str], engine: EngineLike, stack: AsyncExitStack
) -> None:
    async with AsyncExitStack() as attempt:
        data = await attempt.enter_async_context(open_data_dir(directory, durability=state.config.durability))
        isolate = state.config.isolates_keys
        files = await attempt.enter_async_context(open_files(data))
        stores = await attempt.enter_async_context(open_vector_stores(data, files.files, engine))
        assistants = await attempt.enter_async_context(
            open_assistants(
                data,
                engine,
                isolate=isolate,
                queue_runs=state.config.queue_runs,
                lifetime=state.config.run_expiry,
                search=stores,
            )
        )
        stack.push_async_exit(attempt.pop_all())
    state.data, state.assistants, state.files, state.vector_stores = data, assistants, files, stores


def default_data_dir() -> Path:
    """The data directory of this user. Raises OSError if the user has no home directory."""
    return user_dir("XDG_DATA_HOME", ".local/share")
