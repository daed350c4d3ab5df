"""A worker over the scripted engine. With trio's mock clock, the store's calls stay in the event loop's thread."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import MockClock

from oxillama.assistants.service import Assistants, open_assistants, watch
from oxillama.concurrency import Offload
from tests.assistants.fixtures import NOW, a_message, a_run, a_thread
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from oxillama.assistants.records.types import Run
    from oxillama.assistants.run.events import RunEvent, Subscription
    from oxillama.assistants.run.live import LiveRun


class Desk:
    """An open data directory, and shorthands for what tests do with it."""

    def __init__(self, assistants: Assistants) -> None:
        self.assistants = assistants
        self.store = assistants.store

    async def start(self, *texts: str, **run: Any) -> tuple[Run, LiveRun, Subscription]:
        """A new thread with these messages, a run on it, and its events."""
        thread = a_thread()
        messages = [a_message(text) for text in texts]
        run.setdefault("streamed", True)
        made, live = await self.assistants.create_run(a_run(thread.id, **run), messages, thread=thread)
        return made, live, watch(made, live)

    async def done(self, *texts: str, **run: Any) -> tuple[Run, list[RunEvent]]:
        """The same, and wait for the end."""
        made, _, subscription = await self.start(*texts, **run)
        events = [event async for event in subscription]
        return self.store.get_run(made.thread_id, made.id), events

    def answers(self, run: Run) -> list[str]:
        return [m.text_content for m in self.store.list_messages(run.thread_id) if m.role == "assistant"]


@pytest.fixture
def clock() -> MockClock:
    """Time that passes only when everybody waits for it."""
    return MockClock(autojump_threshold=0)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker threads: a mock clock would jump while they work."""

    async def call(self: Offload, function: Callable[..., Any], *args: object) -> Any:
        await trio.lowlevel.checkpoint()
        return function(*args)

    monkeypatch.setattr(Offload, "__call__", call)


@pytest.fixture
def open_desk(tmp_path: Path, inline: None) -> Callable[..., Any]:
    """`async with open_desk(engine) as desk`: time in the store is trio's, so that runs expire with the mock clock."""

    @asynccontextmanager
    async def opened(engine: FakeEngine | None = None, **settings: Any) -> AsyncIterator[Desk]:
        start = trio.current_time()
        settings.setdefault("clock", lambda: NOW + trio.current_time() - start)
        async with open_assistants(tmp_path, engine or FakeEngine(), **settings) as assistants:
            yield Desk(assistants)

    return opened
