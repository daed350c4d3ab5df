"""A worker with the scripted engine. With trio's mock clock, the store's calls run in the event loop's thread."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import MockClock

from oxillama.assistants.service import open_assistants
from oxillama.concurrency import Offload
from oxillama.storage.data_dir import open_data_dir
from tests.support.assistants import Client
from tests.support.fake_engine import FakeEngine
from tests.support.records import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from oxillama.storage.system import Disk


@pytest.fixture
def clock() -> MockClock:
    """A clock that advances only when all tasks wait."""
    return MockClock(autojump_threshold=0)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls without worker threads, because the mock clock would jump while they work."""

    async def call(self: Offload, function: Callable[..., Any], *args: object, **changes: object) -> Any:
        await trio.lowlevel.checkpoint()
        return function(*args, **changes)

    monkeypatch.setattr(Offload, "__call__", call)


@pytest.fixture
def open_client(tmp_path: Path, inline: None) -> Callable[..., Any]:
    """`async with open_client(engine) as client`: the store uses trio's time, so runs expire with the mock clock."""

    @asynccontextmanager
    async def opened(
        engine: FakeEngine | None = None, *, disk: Disk | None = None, **settings: Any
    ) -> AsyncIterator[Client]:
        start = trio.current_time()
        settings.setdefault("clock", lambda: NOW + trio.current_time() - start)
        async with (
            open_data_dir(tmp_path, disk=disk) as data,
            open_assistants(data, engine or FakeEngine(), **settings) as assistants,
        ):
            yield Client(assistants)

    return opened
