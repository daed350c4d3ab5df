"""Several hundred hostile requests: each gets the error envelope, and the server keeps working.

One server gets all of them, one after another, directly over a real socket.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.support.fake_engine import FakeEngine
from tests.support.hostile_requests import CASES, COMPLETIONS, GOOD, fault
from tests.support.live_server import chat, live_server, post


def test_there_are_several_hundred() -> None:
    assert len(CASES) > 500


async def test_every_hostile_request_is_refused_in_the_envelope_and_the_server_serves_on() -> None:
    engine = FakeEngine()
    wrong: list[str] = []
    async with live_server(engine) as live:
        for name, data in CASES:
            answer = await live.ask(data)
            if problem := fault(answer):
                wrong.append(f"{name}: {problem}")
        assert (await live.ask(chat())).status == 200
    assert wrong == []
    assert len(engine.requests) == 1, "a hostile request reached the engine"
    assert engine.open == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_unusual_but_legal_requests_are_served(stream: bool) -> None:
    legal: list[dict[str, Any]] = [
        {"seed": 2**63 - 1, "n": 2}, {"seed": -(2**63)}, {"temperature": 0}, {"top_p": 0}, {"max_tokens": 2**31 - 1},
        {"logit_bias": {"0": -100, "258": 100}}, {"stop": ["a", "b", "c", "d"]}, {"stop": None},
        {"user": "\u0000\uffff"},
        {"metadata": {"a": "b"}}, {"unknown": [[[[]]]]}, {"top_k": -1}, {"repeat_last_n": -1}, {"n": 5},
    ]  # fmt: skip
    async with live_server() as live:
        for fields in legal:
            assert (await live.ask(chat(**fields, stream=stream))).status == 200, fields
            completion = GOOD[COMPLETIONS] | fields | {"stream": stream}
            assert (await live.ask(post(COMPLETIONS, completion))).status == 200, fields
        odd = [
            {"role": "user", "content": text}
            for text in ("", "\u0000", "\U0010ffff", "<|im_end|>", "{{ 7*7 }}", "x\ry")
        ]
        assert (await live.ask(chat(messages=odd, stream=stream))).status == 200


async def test_every_request_of_a_burst_is_answered_or_refused() -> None:
    engine = FakeEngine(n_slots=2, max_waiting=10, delay_s=0.002)
    statuses: list[int] = []
    async with live_server(engine) as live:

        async def one(stream: bool) -> None:
            answer = await live.ask(chat(stream=stream))
            statuses.append(answer.status)
            if answer.status == 429:
                assert 1 <= int(answer.headers["retry-after"]) <= 60
                answer.error()

        async with trio.open_nursery() as nursery:
            for n in range(200):
                nursery.start_soon(one, n % 2 == 0)
        assert await live.is_healthy()
    assert len(statuses) == 200
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 12
    assert engine.open == 0
