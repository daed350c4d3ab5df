"""Many requests of all kinds over real sockets: each gets a complete response, with any versions of the libraries."""

from __future__ import annotations

import json

import trio

from tests.support.fake_engine import FakeEngine
from tests.support.live_server import chat, get, live_server

MANY = 200
AT_ONCE = 20
REPLY = "So it was."


async def test_two_hundred_requests_are_each_answered_whole() -> None:
    engine = FakeEngine(reply=REPLY, n_slots=4, max_waiting=MANY)
    answered = 0

    async with live_server(engine) as live:

        async def plain() -> None:
            answer = await live.ask(chat())
            assert answer.status == 200
            assert json.loads(answer.body)["choices"][0]["message"]["content"] == REPLY

        async def streamed() -> None:
            answer = await live.ask(chat(stream=True))
            assert answer.status == 200
            events = [part.removeprefix("data: ") for part in answer.body.decode().split("\n\n") if part]
            assert events[-1] == "[DONE]"
            pieces = [json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events[:-1]]
            assert "".join(pieces) == REPLY

        async def models() -> None:
            answer = await live.ask(get("/v1/models", "Connection: close"))
            assert answer.status == 200
            assert json.loads(answer.body)["data"][0]["id"] == "fake-model"

        async def refused() -> None:
            assert (await live.ask(chat(temperature=9))).status == 400

        kinds = (plain, streamed, models, refused)
        turns = trio.CapacityLimiter(AT_ONCE)

        async def one(number: int) -> None:
            nonlocal answered
            async with turns:
                await kinds[number % len(kinds)]()
            answered += 1

        async with trio.open_nursery() as nursery:
            for number in range(MANY):
                nursery.start_soon(one, number)
    assert answered == MANY
    assert engine.active == 0
