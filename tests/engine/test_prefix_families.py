"""Models with windows and recurrent states reuse what was computed, to the same tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.types import GenerationRequest, Priority, SamplingParams, TokenEvent, Usage
from oxillama.engine.batching.stepper import Stepper
from oxillama.engine.decoding.generation import Generation
from oxillama.engine.engine import Engine
from oxillama.engine.loading import load_bundle
from oxillama.engine.model import Model
from oxillama.errors import OxillamaError
from tests.engine.harness import request
from tests.support.oracles import make_oracle

Ids = tuple[int, ...]
ARCHITECTURES = ["gemma3", "gpt-oss-moe", "qwen35", "lfm2"]
INSTRUCTIONS = tuple(3 + 7 * i % 120 for i in range(75))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_oracle(request.param, tmp_path_factory.mktemp("oracle") / "model.gguf")


def config(**options: Any) -> EngineConfig:
    return EngineConfig(n_threads=1, **({"n_ctx": 512, "n_batch": 64, "parallel": 4} | options))


async def ask(engine: Engine, prompt: Ids, n: int = 8, **options: Any) -> tuple[Ids, Usage]:
    wanted = request(prompt, max_tokens=n, ignore_eos=True, temperature=0.9, seed=5, **options)
    async with engine.generate(wanted) as stream:
        events = [event async for event in stream]
    return tuple(event.token_id for event in events if event.token_id is not None), stream.usage


async def together(engine: Engine, prompts: Sequence[Ids], n: int = 8) -> list[tuple[Ids, Usage]]:
    found: dict[int, tuple[Ids, Usage]] = {}

    async def one(i: int) -> None:
        found[i] = await ask(engine, prompts[i], n)

    async with trio.open_nursery() as nursery:
        for i in range(len(prompts)):
            nursery.start_soon(one, i)
    return [found[i] for i in range(len(prompts))]


async def test_the_turns_of_a_conversation_compute_only_what_is_new(model: Path) -> None:
    async with Engine.open(model, config()) as engine:
        prompt, known = INSTRUCTIONS, 0
        for turn in range(6):
            answer, usage = await ask(engine, prompt)
            fresh, none = await ask(engine, prompt, cache_prompt=False)
            assert answer == fresh
            assert (usage.cached_tokens, none.cached_tokens) == (known, 0)
            known = len(prompt) + len(answer) - 1  # the last token of an answer was chosen, not computed
            prompt = (*prompt, *answer, *range(10 + turn, 30 + turn))


async def test_requests_that_arrive_together_compute_their_common_part_once(model: Path) -> None:
    prompts = [(*INSTRUCTIONS, 20 + i, *range(40, 40 + i)) for i in range(4)]
    async with Engine.open(model, config()) as engine:
        found = await together(engine, prompts)
        counts = engine.statistics()
        alone = [(await ask(engine, prompt, cache_prompt=False))[0] for prompt in prompts]
    assert [answer for answer, _ in found] == alone
    assert sorted(usage.cached_tokens for _, usage in found) == [0, *[len(INSTRUCTIONS)] * 3]
    assert counts.prompt_tokens_total == len(INSTRUCTIONS) + sum(1 + i for i in range(4))


async def test_a_prompt_is_continued_from_checkpoints(model: Path) -> None:
    """The same prompt again, and prompts that leave it in the middle."""
    async with Engine.open(model, config()) as engine:
        prompts = [(*INSTRUCTIONS, *[20 + i] * 40) for i in (0, 0, 1, 2)]
        found = [await ask(engine, prompt) for prompt in prompts]
        alone = [(await ask(engine, prompt, cache_prompt=False))[0] for prompt in prompts]
    assert [answer for answer, _ in found] == alone
    again, branch, later = (usage.cached_tokens for _, usage in found[1:])
    assert again >= 96  # a page before its end
    assert branch <= len(INSTRUCTIONS) == later


async def test_many_other_prompts_leave_checkpoints_alone(model: Path) -> None:
    """An ended request's sequence holds a window or state, which a checkpoint would need."""
    async with Engine.open(model, config(parallel=2)) as engine:
        await ask(engine, (*INSTRUCTIONS, 20, 21))
        await ask(engine, (*INSTRUCTIONS, 22, 23))
        for i in range(30):
            await ask(engine, tuple((5 + i + 3 * j) % 100 + 2 for j in range(40)), 2)
            if i % 3 == 2:
                _, usage = await ask(engine, (*INSTRUCTIONS, 30 + i))
                assert usage.cached_tokens >= 64  # whole pages of them


async def test_paused_requests_continue_to_the_same_tokens(model: Path) -> None:
    prompts = [(*INSTRUCTIONS[:30], 20 + i) for i in range(2)]
    async with Engine.open(model, config(kv_pages=20)) as engine:
        found = await together(engine, prompts, 350)
        assert engine.statistics().pauses_total > 0
        alone = [(await ask(engine, prompt, 350, cache_prompt=False))[0] for prompt in prompts]
    assert [answer for answer, _ in found] == alone


def test_other_evaluations_take_the_place_of_what_ended_requests_left(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended requests hold windows and states as well as pages, and a new sequence needs these in every step."""
    monkeypatch.setattr("oxillama.engine.loading._kept", lambda runner: 64)
    ids = [3 + 11 * i % 120 for i in range(150)]
    with Model(model, n_threads=1, n_ctx=2048, n_batch=64) as fresh:
        want, state = fresh.logits(ids), fresh.embed(ids, pooling="last")
    with Model(model, n_threads=1, n_ctx=2048, n_batch=64) as used:
        for i in range(30):
            list(used.events([3 + i, *[40 + i] * 40], SamplingParams(max_tokens=1)))
        kept = used._stepper.prefix.n_idle
        assert (used.logits(ids) == want).all()
        assert 0 < used._stepper.prefix.n_idle < kept
        assert (used.embed(ids, pooling="last") == state).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_requests_that_come_and_go_in_a_full_cache_get_their_own_tokens(model: Path, seed: int) -> None:
    """Some share prefixes, some are background work, some leave early, and all are paused now and then."""
    rng = random.Random(seed)
    bundle = load_bundle(model, config(parallel=5, kv_pages=16))
    scheduler = bundle.new_scheduler()
    scheduler.allowance = 8
    stepper = Stepper(bundle.runner, scheduler, n_kept=bundle.n_kept)
    found: dict[Generation, list[TokenEvent | OxillamaError]] = {}

    def add(to: Stepper, wanted: GenerationRequest) -> Generation:
        g = Generation(wanted, bundle.vocabulary, bundle.sampling, n_ctx=bundle.n_ctx, now=0.0, limit_s=1e9)
        found[g] = []
        to.add(g)
        return g

    def step(one: Stepper) -> None:
        for g, item in one.step():
            found[g].append(item)

    base = tuple(rng.randrange(3, 120) for _ in range(200))
    asked: list[Generation] = []
    gone: set[Generation] = set()
    for i in range(14):
        prompt = (*base[: rng.choice([0, 10, 33, 64, 100, 150, 200])], *[rng.randrange(3, 6)] * rng.randrange(1, 60))
        options: dict[str, Any] = {"max_tokens": rng.randrange(1, 200), "seed": i, "temperature": 0.9}
        priority, scope = rng.choice(list(Priority)), rng.choice([None, None, "a"])
        asked.append(add(stepper, request(prompt, priority=priority, cache_scope=scope, ignore_eos=True, **options)))
        for _ in range(rng.randrange(8)):
            step(stepper)
        if rng.random() < 0.2 and (leaver := rng.choice(asked)).ended is None:
            gone.add(leaver)
            stepper.drop(leaver)
    while not stepper.idle:
        step(stepper)
    assert scheduler.n_paused > 0
    while stepper.prefix.evict():
        pass
    assert bundle.runner.free_pages == scheduler.free_pages == bundle.runner.n_pages
    alone = Stepper(bundle.runner, bundle.new_scheduler())
    for g in asked:
        again = add(alone, replace(g.request, cache_prompt=False))
        while not alone.idle:
            step(alone)
        assert found[g] == (found[again][: len(found[g])] if g in gone else found[again])
    bundle.close()
