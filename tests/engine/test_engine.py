"""The engine with a fake runner: events reach their readers; leaving, failing and stopping affect no other request."""

from __future__ import annotations

import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.types import GenerationRequest, TokenEvent
from oxillama.engine.engine import Engine
from oxillama.errors import (
    ContextLengthError,
    EngineBusyError,
    EngineClosedError,
    GenerationError,
    InvalidParameterError,
    ModelFormatError,
)
from tests.engine.harness import Bench, request
from tests.support.fake_runner import FakeRunner, bundle


@asynccontextmanager
async def serving(
    runner: FakeRunner, *, n_slots: int = 4, n_ctx: int = 64, text: bool = True, **config: Any
) -> AsyncIterator[Engine]:
    made = bundle(runner, n_ctx=n_ctx, n_slots=n_slots, text=text)
    with trio.fail_after(30):
        async with Engine.serve(made, EngineConfig(parallel=n_slots, n_batch=runner.n_batch, **config)) as engine:
            yield engine


async def read(engine: Engine, req: GenerationRequest) -> list[TokenEvent]:
    async with engine.generate(req) as stream:
        return [event async for event in stream]


async def until(condition: Any) -> None:
    """Wait for a condition that another thread fulfils."""
    while not condition():
        await trio.sleep(0.001)


def alone(req: GenerationRequest) -> list[int | None]:
    bench = Bench()
    (g,) = bench.run(req)
    return bench.ids(g)


async def test_the_events_of_a_request_reach_its_reader() -> None:
    async with serving(FakeRunner()) as engine:
        async with engine.generate(request(max_tokens=10)) as stream:
            events = [event async for event in stream]
        assert [e.token_id for e in events] == alone(request(max_tokens=10))
        assert events[-1].finish_reason == "length"
        assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (3, 10)
        assert stream.timings.prefill_s > 0


async def test_requests_at_once_share_steps_and_get_their_own_tokens() -> None:
    requests = [request((3 + i, 9), max_tokens=20, temperature=0.9, seed=i) for i in range(8)]
    got: dict[int, list[int | None]] = {}
    runner = FakeRunner()
    async with serving(runner) as engine, trio.open_nursery() as nursery:

        async def one(i: int) -> None:
            got[i] = [e.token_id for e in await read(engine, requests[i])]

        for i in range(8):
            nursery.start_soon(one, i)
    assert got == {i: alone(req) for i, req in enumerate(requests)}
    assert max(len(batch) for batch in runner.batches) > 1


async def test_leaving_in_the_middle_frees_the_sequence_before_the_next_step() -> None:
    gate = threading.Semaphore(0)
    runner = FakeRunner(gate=gate)
    async with serving(runner) as engine, engine.generate(request((8, 9))) as stays:
        gate.release()
        await anext(stays)
        async with engine.generate(request((3, 4))) as leaves:
            gate.release(2)
            await anext(leaves)
        # The reader has left: the current step may end, and the next one is without its generation.
        n = len(runner.batches)
        gate.release(4)
        await until(lambda: len(runner.batches) >= n + 3)
        assert all(len(batch) == 1 for batch in runner.batches[n + 1 :])
        assert len(runner.sequences) == 1
        assert engine.statistics().active == 1
        gate.release(1000)


async def test_leaving_during_prefill_cuts_the_step_short() -> None:
    runner = FakeRunner(gate=threading.Semaphore(0))
    async with serving(runner) as engine:
        with trio.move_on_after(60) as scope:
            async with engine.generate(request(tuple(range(3, 50)))):
                await until(runner.in_step.is_set)
                scope.cancel()
                await trio.sleep_forever()
        await until(lambda: not runner.sequences)
    assert runner.batches == []


async def test_cancelling_a_queued_request_does_not_disturb_the_active_one() -> None:
    gate = threading.Semaphore(0)
    async with serving(FakeRunner(gate=gate), n_slots=1) as engine, engine.generate(request(max_tokens=9)) as active:
        gate.release()
        await anext(active)
        with trio.move_on_after(0.01):
            async with engine.generate(request((7,))) as queued:
                assert engine.statistics().waiting == 1
                await anext(queued)
        assert engine.statistics().waiting == 0
        gate.release(1000)
        assert len([e async for e in active]) == 8


async def test_entering_does_not_wait_for_a_slot() -> None:
    gate = threading.Semaphore(0)
    async with (
        serving(FakeRunner(gate=gate), n_slots=1) as engine,
        engine.generate(request()),
        engine.generate(request()),
    ):
        assert engine.statistics().waiting >= 1


async def test_a_full_queue_refuses_at_once_and_later_accepts_requests_again() -> None:
    gate = threading.Semaphore(0)
    async with serving(FakeRunner(gate=gate), n_slots=1, max_waiting=1) as engine:
        async with engine.generate(request()), engine.generate(request()):
            with pytest.raises(EngineBusyError) as refusal:
                await read(engine, request())
            assert refusal.value.retry_after >= 1
        gate.release(10_000)
        assert len(await read(engine, request(max_tokens=2))) == 2


async def test_a_reader_that_does_not_read_delays_no_other() -> None:
    async with serving(FakeRunner()) as engine, engine.generate(request((3,), max_tokens=40)) as slow:
        for _ in range(3):
            assert len(await read(engine, request(max_tokens=40))) == 40
        assert [e.token_id async for e in slow] == alone(request((3,), max_tokens=40))


async def test_a_failing_request_fails_alone() -> None:
    async with serving(FakeRunner(poison=200)) as engine, engine.generate(request(max_tokens=30)) as good:
        with pytest.raises(GenerationError, match="scripted failure"):
            await read(engine, request((200,)))
        assert [e.token_id async for e in good] == alone(request(max_tokens=30))
        assert engine.is_running


async def test_events_before_a_failure_are_read_first() -> None:
    async with serving(FakeRunner(nan=43, next_token=lambda tokens, _: tokens[-1] + 1)) as engine:
        seen = []
        async with engine.generate(request((1, 40), temperature=0.0)) as stream:
            with pytest.raises(GenerationError, match="no token is left"):  # noqa: PT012  (what came before it counts too)
                async for event in stream:
                    seen.append(event.token_id)
    assert seen == [41, 42, 43]


async def test_all_readers_of_a_dead_engine_get_an_error() -> None:
    runner = FakeRunner(crash=200)
    async with serving(runner) as engine:
        async with engine.generate(request((5,))) as bystander:
            with pytest.raises(EngineClosedError, match="scripted crash"):
                await read(engine, request((200,)))
            with pytest.raises(EngineClosedError):
                [e async for e in bystander]
        with pytest.raises(EngineClosedError, match="scripted crash"):
            await read(engine, request())
        assert not engine.is_running
    assert runner.closed


async def test_a_lost_model_file_ends_the_engine_with_its_own_error(caplog: pytest.LogCaptureFixture) -> None:
    lost = ModelFormatError("m.gguf: the file was cut short")
    async with serving(FakeRunner(crash=200, crash_with=lost)) as engine:
        with pytest.raises(EngineClosedError, match=r"has failed: m\.gguf: the file was cut short"):
            await read(engine, request((200,)))
    assert [r.exc_info for r in caplog.records] == [None]


async def test_leaving_the_engine_ends_its_readers_and_closes_the_runner() -> None:
    runner, failures = FakeRunner(gate=threading.Semaphore(0)), []
    async with trio.open_nursery() as nursery, serving(runner) as engine:

        async def reader() -> None:
            with pytest.raises(EngineClosedError) as info:
                await read(engine, request())
            failures.append(info.value)

        nursery.start_soon(reader)
        await until(runner.in_step.is_set)
    assert len(failures) == 1
    assert runner.closed
    assert not engine._thread.is_alive()


async def test_a_cancelled_scope_still_closes_the_engine() -> None:
    runner = FakeRunner(gate=threading.Semaphore(0))
    with trio.CancelScope() as scope:
        async with serving(runner) as engine, engine.generate(request()) as stream:
            await until(runner.in_step.is_set)
            scope.cancel()
            await anext(stream)
    assert runner.closed


async def test_a_drain_lets_requests_end_and_refuses_new_ones() -> None:
    gate = threading.Semaphore(0)
    async with (
        serving(FakeRunner(gate=gate)) as engine,
        trio.open_nursery() as nursery,
        engine.generate(request(max_tokens=5)) as stream,
    ):
        nursery.start_soon(engine.drain, 20.0)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(EngineClosedError):
            await read(engine, request())
        gate.release(1000)
        assert len([e async for e in stream]) == 5


async def test_a_drain_ends_the_remaining_generations_at_its_deadline() -> None:
    runner = FakeRunner(gate=threading.Semaphore(0))
    async with serving(runner) as engine, engine.generate(request()) as stream:
        await engine.drain(0.01)
        with pytest.raises(EngineClosedError):
            await anext(stream)
        await until(lambda: not runner.sequences)


@pytest.mark.parametrize(
    ("req", "error", "param"),
    [
        (request(()), InvalidParameterError, "prompt"),
        (request((3, 259)), InvalidParameterError, "prompt"),
        (request((3, -1)), InvalidParameterError, "prompt"),
        (request((3, True)), InvalidParameterError, "prompt"),
        (request(logit_bias={259: 1.0}), InvalidParameterError, "logit_bias"),
        (request(stop_token_ids=frozenset({-1})), InvalidParameterError, "stop_token_ids"),
        (request(prompt_logprobs=21), InvalidParameterError, "logprobs"),
        (request((3,) * 64), ContextLengthError, "prompt"),
        (request((-1,) * 64), ContextLengthError, "prompt"),
        (request((3,) * 65, max_tokens=0), ContextLengthError, "prompt"),
    ],
)
async def test_a_request_that_cannot_run_is_refused_by_name(
    req: GenerationRequest, error: type[InvalidParameterError], param: str
) -> None:
    async with serving(FakeRunner()) as engine:
        with pytest.raises(error) as info:
            await read(engine, req)
        assert info.value.param == param
        assert engine.statistics().waiting == 0


async def test_the_longest_prompt_leaves_room_for_one_token() -> None:
    async with serving(FakeRunner()) as engine:
        events = await read(engine, request((3,) * 63))
        assert [e.finish_reason for e in events] == ["length"]
        assert len(await read(engine, request((3,) * 64, max_tokens=0))) == 1


async def test_the_message_of_a_context_error_is_the_one_that_clients_match() -> None:
    async with serving(FakeRunner()) as engine:
        with pytest.raises(ContextLengthError) as info:
            await read(engine, request((3,) * 70))
    assert str(info.value) == (
        "This model's maximum context length is 64 tokens. However, your prompt resulted in 70 tokens. "
        "Please reduce the length of the prompt."
    )
    assert info.value.code == "context_length_exceeded"


async def test_a_model_without_vocabulary_refuses_stop_strings() -> None:
    async with serving(FakeRunner(), text=False) as engine:
        with pytest.raises(InvalidParameterError, match="stop"):
            await read(engine, request(stop=("x",)))


async def test_a_generation_that_takes_too_long_is_ended() -> None:
    async with serving(FakeRunner(), max_generation_s=1e-9) as engine:
        with pytest.raises(GenerationError, match="longer than its 1e-09 seconds"):
            await read(engine, request())


async def test_texts_are_encoded_and_chats_rendered() -> None:
    async with serving(FakeRunner()) as engine:
        assert await engine.encode("ab") == [1, 100, 101]
        assert await engine.encode("ab" * 5000, add_special=False) == [100, 101] * 5000
        messages = [{"role": "user", "content": "hi"}]
        rendered = await engine.with_template(lambda template: template.render(messages))
        assert rendered.text == "<user>hi</user><assistant>"


async def test_the_old_way_to_a_conversation_s_prompt_still_works() -> None:
    async with serving(FakeRunner()) as engine:
        with pytest.warns(DeprecationWarning, match="chat_prompt"):
            assert await engine.render_chat([{"role": "user", "content": "hi"}]) == "<user>hi</user><assistant>"


async def test_statistics_count_requests_and_tokens() -> None:
    async with serving(FakeRunner()) as engine:
        await read(engine, request(max_tokens=5))
        s = engine.statistics()
        assert (s.requests_total, s.prompt_tokens_total, s.generated_tokens_total, s.steps_total) == (1, 3, 5, 5)
        assert (s.active, s.waiting, s.free_pages) == (0, 0, s.n_pages)


async def test_prompt_logprobs_are_complete_with_the_first_event() -> None:
    req = request(tuple(range(3, 40)), prompt_logprobs=1, max_tokens=1)
    async with serving(FakeRunner()) as engine, engine.generate(req) as stream:
        await anext(stream)
        assert len(stream.prompt_logprobs) == 37


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, 0) for name in ("n_threads", "n_ctx", "parallel", "n_batch", "n_prefill_shared", "kv_pages")),
        ("max_waiting", -1),
        ("max_generation_s", 0.0),
        ("parallel", 513),
    ],
)
def test_every_field_of_the_config_is_checked(field: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError) as info:
        EngineConfig(**{field: value})
    assert info.value.param == field


async def test_short_lived_readers_leave_nothing_behind() -> None:
    """300 readers on 3 slots: some read to the end, some leave in the queue, in prefill or in the middle."""
    rng = random.Random(4)
    runner = FakeRunner(n_pages=48)
    read_whole = 0
    async with serving(runner, n_slots=3, max_waiting=300) as engine:

        async def one(prompt: tuple[int, ...], n_read: int) -> None:
            nonlocal read_whole
            req = request(prompt, max_tokens=12, temperature=0.7, seed=len(prompt))
            async with engine.generate(req) as stream:
                ids = [(await anext(stream)).token_id for _ in range(n_read)]
            if n_read == 12:
                assert ids == alone(req)
                read_whole += 1

        async with trio.open_nursery() as nursery:
            for _ in range(300):
                prompt = tuple(rng.randrange(3, 259) for _ in range(rng.randrange(1, 40)))
                nursery.start_soon(one, prompt, rng.choice([0, 1, 5, 12]))
        await until(lambda: engine.statistics().free_pages == 48)
        assert runner.sequences == {}
        assert engine._streams == {}
        assert engine._stepper.idle
        assert engine.statistics().requests_total <= 300
    assert read_whole > 40
