"""The drain for other clients: until it ends, they get a 503 with Retry-After."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from tests.support.fake_engine import FakeEngine
from tests.support.live_server import PATIENCE, Live, chat, get, live_server


async def draining(live: Live) -> None:
    while json.loads((await live.ask(get("/health"))).body)["status"] != "draining":
        await trio.lowlevel.checkpoint()


async def test_requests_during_the_drain_get_a_503_and_a_closed_connection() -> None:
    engine = FakeEngine(reply="x" * 1000, n_ctx=10_000, delay_s=0.01)
    async with live_server(engine, drain_timeout=600) as live, await live.connect() as client:
        await client.send(chat(stream=True))
        await client.head()
        live.stop.set()
        await draining(live)
        for request in (get("/v1/models"), chat(), chat(stream=True), get("/health")):
            async with await live.connect() as other:
                await other.send(request)
                answer = await other.answer()
                assert answer.status == 503
                assert int(answer.headers["retry-after"]) > 0
                assert answer.headers["connection"] == "close"
                assert await other.is_closed()
        live.hurry.set()
        assert b'data: {"error":' in await client.until(b"0\r\n\r\n")
        with trio.fail_after(PATIENCE):
            await live.stopped.wait()
        with pytest.raises(OSError, match="all attempts to connect"):
            await live.connect()


async def test_a_drain_also_waits_for_requests_without_a_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, proceed = trio.Event(), trio.Event()
    engine = FakeEngine()
    render = engine.with_template

    async def slowly(work: Any) -> Any:
        slow.set()
        await proceed.wait()
        return await render(work)

    monkeypatch.setattr(engine, "with_template", slowly)
    async with live_server(engine, drain_timeout=600) as live, await live.connect() as client:
        await client.send(chat())
        await slow.wait()
        live.stop.set()
        await draining(live)
        assert not live.stopped.is_set()
        proceed.set()
        assert (await client.answer()).status == 503  # the engine accepts nothing new, and the client gets a 503
        with trio.fail_after(PATIENCE):
            await live.stopped.wait()
