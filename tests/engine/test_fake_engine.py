"""The scripted engine keeps the engine's contract, so that tests built on it mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.engine.api.types import GenerationRequest, SamplingParams, TokenEvent
from oxillama.errors import (
    ContextLengthError,
    EngineBusyError,
    EngineClosedError,
    GenerationError,
    InvalidParameterError,
)
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from oxillama.engine.api.protocol import EngineLike


def request(**sampling: Any) -> GenerationRequest:
    return GenerationRequest(prompt_ids=(1, 5, 6), sampling=SamplingParams(**sampling))


async def read(engine: EngineLike, req: GenerationRequest) -> list[TokenEvent]:
    async with engine.generate(req) as stream:
        return [event async for event in stream]


def text_of(events: list[TokenEvent]) -> str:
    return "".join(e.text for e in events)


async def test_the_reply_is_streamed_token_by_token_and_ends_with_stop() -> None:
    engine = FakeEngine(reply="héllo")
    async with engine.generate(request()) as stream:
        events = [event async for event in stream]
    assert text_of(events) == "héllo"
    assert [e.finish_reason for e in events] == [None] * 6 + ["stop"]
    assert stream.usage.completion_tokens == 7


async def test_max_tokens_ends_with_length() -> None:
    events = await read(FakeEngine(reply="hello"), request(max_tokens=3))
    assert text_of(events) == "hel"
    assert events[-1].finish_reason == "length"


async def test_no_tokens_asked_for_is_one_empty_event() -> None:
    assert await read(FakeEngine(), request(max_tokens=0)) == [TokenEvent(None, "", (), "length")]


async def test_no_part_of_a_stop_string_is_released() -> None:
    events = await read(FakeEngine(reply="abcSTOPdef"), request(stop=("STOP",)))
    assert text_of(events) == "abc"
    assert events[-1].finish_reason == "stop"


async def test_a_stop_string_that_never_occurs_loses_no_text() -> None:
    assert text_of(await read(FakeEngine(reply="abcSTO"), request(stop=("STOP",)))) == "abcSTO"


async def test_logprobs_come_with_the_text_they_belong_to() -> None:
    events = await read(FakeEngine(reply="é!"), request(logprobs=2))
    assert [len(e.logprobs) for e in events] == [0, 2, 1, 0]
    assert all(len(lp.top) == 2 for e in events for lp in e.logprobs)


async def test_a_scripted_failure_is_raised_after_the_tokens_before_it() -> None:
    engine, seen = FakeEngine(fail_at=2), []
    with pytest.raises(GenerationError):  # noqa: PT012  (what came before the failure counts too)
        async with engine.generate(request()) as stream:
            async for event in stream:
                seen.append(event)
    assert len(seen) == 2
    assert engine.active == 0


async def test_leaving_in_the_middle_frees_the_slot(autojump_clock: trio.testing.MockClock) -> None:
    engine = FakeEngine(delay_s=1.0)
    async with engine.generate(request()) as stream:
        await anext(stream)
        assert engine.active == 1
    assert (engine.active, engine.open, engine.ended) == (0, 0, 1)


async def test_cancelling_a_hung_prefill_frees_the_slot(autojump_clock: trio.testing.MockClock) -> None:
    engine = FakeEngine(hang_in_prefill=True)
    with trio.move_on_after(5) as scope:
        await read(engine, request())
    assert scope.cancelled_caught
    assert engine.active == 0


async def test_requests_beyond_the_slots_wait_and_then_run(autojump_clock: trio.testing.MockClock) -> None:
    engine, most = FakeEngine(n_slots=2, delay_s=0.1), 0

    async def one() -> None:
        nonlocal most
        async with engine.generate(request()) as stream:
            async for _ in stream:
                most = max(most, engine.active)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(one)
    assert most == 2
    assert engine.ended == 5


async def test_a_full_queue_refuses() -> None:
    with pytest.raises(EngineBusyError):
        await read(FakeEngine(busy=True), request())


@pytest.mark.parametrize(
    ("ids", "error"), [((), InvalidParameterError), ((-1,), InvalidParameterError), ((5,) * 16, ContextLengthError)]
)
async def test_a_request_that_cannot_run_is_refused(ids: tuple[int, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        await read(FakeEngine(n_ctx=16), GenerationRequest(prompt_ids=ids))


async def test_a_killed_engine_ends_its_readers(autojump_clock: trio.testing.MockClock) -> None:
    engine = FakeEngine(delay_s=100)
    async with trio.open_nursery() as nursery:

        async def reader() -> None:
            with pytest.raises(EngineClosedError):
                await read(engine, request())

        nursery.start_soon(reader)
        await trio.sleep(1)
        engine.kill()
    with pytest.raises(EngineClosedError):
        await read(engine, request())


async def test_a_drain_lets_requests_end_and_refuses_new_ones(autojump_clock: trio.testing.MockClock) -> None:
    engine, texts = FakeEngine(reply="hello", delay_s=1), []
    async with trio.open_nursery() as nursery:

        async def reader() -> None:
            texts.append(text_of(await read(engine, request())))

        nursery.start_soon(reader)
        await trio.sleep(0.5)
        nursery.start_soon(engine.drain, 60.0)
        await trio.sleep(0.5)
        with pytest.raises(EngineClosedError):
            await read(engine, request())
    assert texts == ["hello"]
