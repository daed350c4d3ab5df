"""The tokens that a prompt shares with an earlier request are not computed again, and results stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.types import SamplingParams, Usage
from oxillama.engine.engine import Engine
from oxillama.engine.model import Model
from tests.engine.harness import Bench, request
from tests.support.fake_runner import FakeRunner
from tests.support.tiny_models import tiny_model

FIRST = (1, 40, 41, 42, 43, 44)


def alone(prompt: tuple[int, ...], n: int) -> list[int | None]:
    bench = Bench()
    (g,) = bench.run(request(prompt, max_tokens=n))
    return bench.ids(g)


def computed(bench: Bench) -> int:
    """Tokens that the runner has evaluated."""
    return sum(map(sum, bench.runner.batches))


def test_the_next_turn_computes_only_its_new_tokens() -> None:
    bench = Bench(n_kept=2)
    (first,) = bench.run(request(FIRST, max_tokens=5))
    answer = tuple(i for i in bench.ids(first) if i is not None)
    before, prompt = computed(bench), (*FIRST, *answer, 50, 51)

    (second,) = bench.run(request(prompt, max_tokens=3))

    assert bench.ids(second) == alone(prompt, 3)
    known = len(FIRST) + len(answer) - 1  # the last token of an answer was sampled, not computed
    assert second.usage == Usage(len(prompt), 3, known)
    assert computed(bench) - before == len(prompt) - known + 2
    assert bench.stepper.n_prompt_tokens == len(FIRST) + len(prompt) - known


def test_the_same_prompt_again_computes_its_last_token_alone() -> None:
    bench = Bench(n_kept=2)
    bench.run(request(FIRST, max_tokens=1))

    (again,) = bench.run(request(FIRST, max_tokens=4))

    assert again.usage.cached_tokens == len(FIRST) - 1
    assert bench.ids(again) == alone(FIRST, 4)


def test_two_continuations_share_one_beginning() -> None:
    bench = Bench(n_kept=4)
    bench.run(request(FIRST, max_tokens=8))

    both = bench.run(*(request((*FIRST, i), max_tokens=4) for i in (60, 61)))

    assert [g.usage.cached_tokens for g in both] == [len(FIRST)] * 2
    assert [bench.ids(g) for g in both] == [alone((*FIRST, i), 4) for i in (60, 61)]


def test_a_dropped_request_leaves_its_tokens_in_the_cache() -> None:
    bench = Bench(n_kept=1)
    g = bench.add(request(FIRST, max_tokens=50))
    for _ in range(4):
        bench.step()
    bench.stepper.drop(g)

    (next_,) = bench.run(request((*FIRST, 70), max_tokens=2))

    assert next_.usage.cached_tokens == len(FIRST)


@pytest.mark.parametrize("asked", [{"cache_prompt": False}, {"prompt_logprobs": 0}], ids=str)
def test_requests_that_need_all_tokens_computed_do_not_use_the_cache(asked: dict[str, Any]) -> None:
    bench = Bench(n_kept=4)
    bench.run(request(FIRST, max_tokens=1))

    (g,) = bench.run(request(FIRST, max_tokens=2, **asked))

    assert g.usage.cached_tokens == 0
    assert bench.stepper.n_prompt_tokens == 2 * len(FIRST)


def test_requests_with_cache_prompt_off_are_not_kept() -> None:
    bench = Bench(n_kept=4)
    bench.run(request(FIRST, max_tokens=2, cache_prompt=False))

    assert bench.stepper.prefix.n_idle == 0
    assert bench.runner.free_pages == bench.runner.n_pages


def test_a_request_that_failed_is_not_kept() -> None:
    bench = Bench(FakeRunner(nan=FIRST[-1]), n_kept=4)
    (g,) = bench.run(request(FIRST, max_tokens=2))

    assert g in bench.errors
    assert bench.stepper.prefix.n_idle == 0


def test_the_least_recently_used_sequence_is_evicted() -> None:
    bench = Bench(n_kept=2)
    a, b, c = ((1, x, x, x, x) for x in (80, 90, 100))
    bench.run(request(a, max_tokens=1))
    bench.run(request(b, max_tokens=1))
    bench.run(request(a, max_tokens=1))  # used again
    bench.run(request(c, max_tokens=1))

    (again,) = bench.run(request(a, max_tokens=1))

    assert again.usage.cached_tokens == 4


def test_kept_pages_are_free_for_any_request_that_needs_them() -> None:
    bench = Bench(FakeRunner(n_pages=16, page_size=4), n_ctx=64, n_slots=1, n_kept=8)
    for x in range(60, 66):
        bench.run(request((1, *[x] * 11), max_tokens=2))
    full = (1, *range(100, 150))

    (g,) = bench.run(request(full, max_tokens=13))  # all pages

    assert bench.ids(g) == alone(full, 13)
    assert not bench.errors


@settings(max_examples=40, deadline=None)
@given(
    prompts=st.lists(
        st.tuples(st.sampled_from([0, 3, 9, 20]), st.integers(60, 62), st.integers(1, 12), st.integers(0, 4)),
        min_size=1,
        max_size=12,
    ),
    n_kept=st.integers(0, 5),
    n_pages=st.integers(12, 30),
    allowance=st.integers(1, 8),
)
def test_results_do_not_depend_on_the_prefix_cache(
    prompts: list[tuple[int, int, int, int]], n_kept: int, n_pages: int, allowance: int
) -> None:
    bench = Bench(FakeRunner(n_pages=n_pages), n_ctx=48, n_slots=3, n_kept=n_kept, allowance=allowance)
    runs = []
    for shared, other, n, wait in prompts:
        prompt = (1, *range(10, 10 + shared), *[other] * n)
        runs.append((prompt, bench.add(request(prompt, max_tokens=6))))
        for _ in range(wait):
            bench.step()
    while not bench.stepper.idle:
        bench.step()

    assert not bench.errors
    assert [bench.ids(g) for _, g in runs] == [alone(prompt, 6) for prompt, _ in runs]
    assert bench.stepper.prefix.n_idle <= n_kept
    while bench.stepper.prefix.evict():
        pass
    assert bench.runner.free_pages == n_pages


async def test_a_real_model_generates_the_same_with_and_without_the_cache(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny.gguf", vocab="spm")
    turn = tuple(range(3, 90))  # not a whole number of pages

    async def ask(engine: Engine, prompt: tuple[int, ...], **options: Any) -> tuple[list[int | None], Usage]:
        async with engine.generate(request(prompt, max_tokens=12, ignore_eos=True, **options)) as stream:
            return [event.token_id async for event in stream], stream.usage

    async with Engine.open(model, EngineConfig(n_threads=1, parallel=2)) as engine:
        answer, _ = await ask(engine, turn)
        following = (*turn, *(i for i in answer if i is not None), 20, 21)
        cached, usage = await ask(engine, following)
        forked, _ = await ask(engine, (*following[:95], 30))
        fresh, none = await ask(engine, following, cache_prompt=False)
        fresh_fork, _ = await ask(engine, (*following[:95], 30), cache_prompt=False)

    assert (usage.cached_tokens, none.cached_tokens) == (len(turn) + 11, 0)
    assert cached == fresh
    assert forked == fresh_fork


def test_logits_evict_kept_sequences_if_pages_are_short(tmp_path: Path) -> None:
    with Model(tiny_model(tmp_path / "tiny.gguf", vocab="spm", n_ctx=64), n_threads=1) as model:
        for start in (3, 20, 40):
            list(model.events(range(start, start + 40), SamplingParams(max_tokens=20, ignore_eos=True)))

        assert model.logits(range(3, 67)).shape == (64, model.n_vocab)
