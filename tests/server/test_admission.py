"""The Retry-After of refused requests."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from oxillama.engine.api.types import EngineStatistics
from oxillama.server import ServerConfig, create_app
from oxillama.server.access.pace import WINDOW_S, Pace
from tests.support.answers import chat
from tests.support.asgi_client import ASGIClient
from tests.support.fake_engine import FakeEngine


def statistics(*, active: int, ended: int) -> EngineStatistics:
    return EngineStatistics(
        n_slots=2, active=active, waiting=2, max_waiting=2, n_pages=4, free_pages=0, requests_total=ended
    )


async def test_retry_after_of_a_full_queue_follows_the_rate_at_which_requests_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    engine = FakeEngine(n_slots=2, max_waiting=2, reply="x" * 19, delay_s=1.0)  # 20 seconds for each request
    client = ASGIClient(create_app(ServerConfig(log_level="error"), engine=engine))

    async def fill() -> None:
        while engine.open < 4:
            nursery.start_soon(chat, client)
            await trio.testing.wait_all_tasks_blocked()

    async def retry_after() -> int:
        response = await chat(client)
        assert response.status_code == 429
        return int(response.headers["Retry-After"])

    async with trio.open_nursery() as nursery:
        await fill()
        assert await retry_after() == 1  # nothing is known yet
        await trio.sleep(12.5)
        assert await retry_after() == 13  # no request has ended for this long
        await trio.sleep(10)
        await fill()
        assert 10 <= await retry_after() <= 12  # two have ended in 22.5 seconds
        nursery.cancel_scope.cancel()


async def test_the_pace_is_that_of_a_busy_engine_and_of_the_last_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pace = Pace()
    pace.look(statistics(active=2, ended=0))
    await trio.sleep(10)
    pace.look(statistics(active=2, ended=5))
    assert pace.seconds_until(3) == pytest.approx(6)
    pace.look(statistics(active=1, ended=6))
    await trio.sleep(1000)  # idle
    pace.look(statistics(active=2, ended=6))
    assert pace.seconds_until(3) == pytest.approx(6)
    await trio.sleep(WINDOW_S + 1)
    pace.look(statistics(active=2, ended=7))
    assert pace.seconds_until(1) == pytest.approx(WINDOW_S + 1)
    await trio.sleep(1)
    pace.look(statistics(active=2, ended=8))
    assert pace.seconds_until(1) == pytest.approx(1)
