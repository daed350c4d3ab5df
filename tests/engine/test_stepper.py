"""The stepper: every generation gets its own tokens in any batch, and fails alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.core._core import ThreadPool
from oxillama.engine.api.types import GenerationRequest, Priority, Usage
from oxillama.engine.decoding.generation import Generation
from oxillama.errors import GenerationError
from tests.engine.harness import Bench, request
from tests.support.fake_runner import FakeRunner, hashed, parrot

LONG = tuple(range(10, 50))


def expected(prompt: tuple[int, ...], n: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(n):
        tokens.append(hashed(tokens, 259))
    return tokens[len(prompt) :]


def test_greedy_tokens_are_the_models_own() -> None:
    bench = Bench()
    (g,) = bench.run(request(max_tokens=20))
    assert bench.ids(g) == expected((1, 40, 41), 20)
    assert g.usage == Usage(prompt_tokens=3, completion_tokens=20)


def test_a_prompt_longer_than_the_batch_gives_the_same_tokens() -> None:
    bench = Bench(FakeRunner(n_batch=7))
    (g,) = bench.run(request(LONG, max_tokens=10))
    assert bench.ids(g) == expected(LONG, 10)
    assert bench.runner.batches[:6] == [[7]] * 5 + [[5]]


@settings(max_examples=30, deadline=None)
@given(
    prompts=st.lists(st.lists(st.integers(3, 258), min_size=1, max_size=30), min_size=1, max_size=8),
    n_slots=st.integers(1, 4),
    arrivals=st.lists(st.integers(0, 6), min_size=8, max_size=8),
)
def test_a_generation_is_the_same_alone_and_in_any_batch(
    prompts: list[list[int]], n_slots: int, arrivals: list[int]
) -> None:
    bench, generations = Bench(FakeRunner(n_pages=20), n_slots=n_slots), []
    for prompt, wait in zip(prompts, arrivals, strict=False):
        generations.append(bench.add(request(tuple(prompt), max_tokens=12, temperature=0.8, seed=5)))
        for _ in range(wait):
            bench.step()
    while not bench.stepper.idle:
        bench.step()
    for prompt, g in zip(prompts, generations, strict=True):
        alone = Bench()
        (same,) = alone.run(request(tuple(prompt), max_tokens=12, temperature=0.8, seed=5))
        assert bench.ids(g) == alone.ids(same)
    assert bench.runner.free_pages == bench.runner.n_pages


@settings(max_examples=60, deadline=None)
@given(
    prompts=st.lists(st.lists(st.integers(3, 258), min_size=1, max_size=40), min_size=2, max_size=8),
    n_slots=st.integers(2, 5),
    spare_pages=st.integers(0, 8),
    allowance=st.sampled_from([0, 3, 20]),
    arrivals=st.lists(st.integers(0, 9), min_size=8, max_size=8),
    leaver=st.integers(0, 30),
    scored=st.booleans(),
)
def test_a_cache_too_small_for_all_requests_changes_no_token(
    prompts: list[list[int]],
    n_slots: int,
    spare_pages: int,
    allowance: int,
    arrivals: list[int],
    leaver: int,
    scored: bool,
) -> None:
    """No request has a limit, so each fills its context, and the cache holds little more than one context."""

    def ask(prompt: list[int], n: int) -> GenerationRequest:
        options: dict[str, Any]
        options = {"temperature": 0.9, "repeat_penalty": 1.2, "repeat_last_n": -1, "seed": n, "logprobs": 1}
        priority = Priority.BACKGROUND if n % 3 == 2 else Priority.INTERACTIVE
        return request(tuple(prompt), priority=priority, prompt_logprobs=2 if scored else None, **options)

    bench = Bench(FakeRunner(n_pages=16 + spare_pages), n_slots=n_slots, allowance=allowance)
    generations: list[Generation] = []
    gone, now = None, 0

    def step() -> None:
        nonlocal gone, now
        bench.step()
        now += 1
        if now == leaver and generations[0].ended is None:
            gone = generations[0]
            bench.stepper.drop(gone)

    for n, (prompt, wait) in enumerate(zip(prompts, arrivals, strict=False)):
        generations.append(bench.add(ask(prompt, n)))
        for _ in range(wait):
            step()
    while not bench.stepper.idle:
        step()
    for n, (prompt, g) in enumerate(zip(prompts, generations, strict=True)):
        alone = Bench()
        (same,) = alone.run(ask(prompt, n))
        events = alone.events[same]
        assert bench.errors == {}
        assert bench.events[g] == (events[: len(bench.events[g])] if g is gone else events)
        if g is not gone:
            assert g.usage.completion_tokens == same.usage.completion_tokens
            assert g.prompt_logprobs == same.prompt_logprobs
    assert bench.runner.sequences == {}
    assert bench.runner.free_pages == bench.runner.n_pages == bench.stepper.scheduler.free_pages
    if gone is None:
        cached = sum(g.usage.cached_tokens for g in generations)
        assert bench.stepper.n_cached_tokens == cached
        assert bench.stepper.n_prompt_tokens + cached == sum(map(len, prompts))


def test_a_paused_generation_continues_where_it_was() -> None:
    bench = Bench(FakeRunner(n_pages=17), allowance=4)
    old, young = bench.run(request((3, 4)), request((5, 6)))
    assert bench.stepper.scheduler.n_paused > 0
    assert bench.ids(old) == expected((3, 4), 62)
    assert bench.ids(young) == expected((5, 6), 62)
    assert young.timings(9.0).queue_s == 0.0


def test_decoding_sequences_share_a_step() -> None:
    bench = Bench()
    bench.run(request((3, 4), max_tokens=5), request((5, 6), max_tokens=5), request((7, 8), max_tokens=5))
    assert bench.runner.batches == [[2, 2, 2], *[[1, 1, 1]] * 4]


def test_a_dropped_generation_frees_its_pages_and_others_continue() -> None:
    bench = Bench()
    gone, stays = bench.add(request(LONG)), bench.add(request((3, 4), max_tokens=9))
    bench.step()
    bench.stepper.drop(gone)
    bench.stepper.drop(gone)
    assert bench.runner.sequences.keys() == {stays.seq}
    while not bench.stepper.idle:
        bench.step()
    assert bench.ids(stays) == expected((3, 4), 9)


def test_a_waiting_generation_can_be_dropped() -> None:
    bench = Bench(n_slots=1)
    active, waiting = bench.add(request(max_tokens=5)), bench.add(request())
    bench.step()
    bench.stepper.drop(waiting)
    while not bench.stepper.idle:
        bench.step()
    assert len(bench.events[active]) == 5
    assert bench.events[waiting] == []


def test_a_failing_step_fails_only_the_request_at_fault() -> None:
    bench = Bench(FakeRunner(poison=200))
    good, bad, other = bench.run(
        request((3, 4), max_tokens=6), request((3, 200, 5), max_tokens=6), request((8,), max_tokens=6)
    )
    assert isinstance(bench.errors[bad], GenerationError)
    assert bench.ids(good) == expected((3, 4), 6)
    assert bench.ids(other) == expected((8,), 6)
    assert bench.runner.sequences == {}


def test_nan_logits_end_only_that_generation() -> None:
    bench = Bench(FakeRunner(nan=200))
    bad, good = bench.run(request((3, 200), max_tokens=6), request((3, 4), max_tokens=6))
    assert "no token is left" in str(bench.errors[bad])
    assert bench.ids(good) == expected((3, 4), 6)
    assert bench.runner.sequences == {}


def test_all_sequences_of_a_step_choose_in_one_call_on_the_runners_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, calls = Bench(), []
    bench.runner.pool = ThreadPool(2)

    class Watched:
        def choose(self, pool: Any, logits: Any, choices: Any) -> None:
            calls.append((pool is bench.runner.pool, len(choices)))
            chooser.choose(pool, logits, choices)

    chooser = bench.stepper._chooser
    monkeypatch.setattr(bench.stepper, "_chooser", Watched())
    prompts = [(3, 4), (8,), (9, 10)]
    found = bench.run(*(request(prompt, max_tokens=4) for prompt in prompts))
    assert calls == [(True, 3)] * 4
    assert [bench.ids(g) for g in found] == [expected(prompt, 4) for prompt in prompts]


def test_without_memory_to_choose_in_the_sequences_of_that_step_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def choose(self, *_: Any) -> None:
            raise MemoryError("choosing tokens: out of memory")

    bench = Bench()
    lost = [bench.add(request((3, 4))), bench.add(request((8,)))]
    with monkeypatch.context() as patch:
        patch.setattr(bench.stepper, "_chooser", Full())
        bench.step()
    assert ["out of memory" in str(bench.errors[g]) for g in lost] == [True, True]
    assert bench.runner.sequences == {}
    (later,) = bench.run(request((3, 4), max_tokens=3))
    assert bench.ids(later) == expected((3, 4), 3)


def test_a_failure_of_the_engine_itself_is_not_swallowed() -> None:
    bench = Bench(FakeRunner(crash=200))
    bench.add(request((200,)))
    with pytest.raises(RuntimeError, match="scripted crash"):
        bench.step()


@pytest.mark.parametrize("active", [True, False])
def test_a_deadline_ends_a_generation_that_runs_or_waits(active: bool) -> None:
    bench = Bench(n_slots=1)
    first = bench.add(request(max_tokens=30), limit_s=5.0 if active else 1000.0)
    second = bench.add(request(max_tokens=3), limit_s=1000.0 if active else 5.0)
    bench.step()
    bench.now = 6.0
    bench.step()
    late, fine = (first, second) if active else (second, first)
    assert "5 seconds" in str(bench.errors[late])
    while not bench.stepper.idle:
        bench.step()
    assert bench.events[fine][-1].finish_reason == "length"


def test_timings_separate_waiting_prefill_and_decode() -> None:
    bench = Bench(n_slots=1)
    first = bench.add(request(max_tokens=1))
    second = bench.add(request(LONG, max_tokens=3))
    while not bench.stepper.idle:
        bench.now += 1.0
        bench.step()
    assert first.timings(99.0).queue_s == 1.0
    timings = second.timings(99.0)
    assert (timings.queue_s, timings.prefill_s, timings.decode_s) == (2.0, 2.0, 2.0)


def test_the_counters_count() -> None:
    bench = Bench()
    bench.run(request(LONG, max_tokens=4), request((3,), max_tokens=2))
    s = bench.stepper
    assert (s.n_ended, s.n_prompt_tokens, s.n_generated_tokens) == (2, len(LONG) + 1, 6)
    assert s.n_steps == len(bench.runner.batches)


def test_a_cache_of_one_context_runs_full_length_requests_one_after_another() -> None:
    bench = Bench(FakeRunner(n_pages=16), n_ctx=64)
    generations = bench.run(*[request((3 + i,)) for i in range(3)])
    assert [len(bench.events[g]) for g in generations] == [63, 63, 63]
    assert all(len(batch) == 1 for batch in bench.runner.batches)


def test_a_model_without_vocabulary_gives_ids_without_text() -> None:
    bench = Bench(text=False)
    (g,) = bench.run(request((5, 6), max_tokens=4, logprobs=1))
    assert bench.ids(g) == expected((5, 6), 4)
    assert bench.text(g) == ""
    assert [len(e.logprobs) for e in bench.events[g]] == [1, 1, 1, 1]


def test_a_padded_vocabulary_has_tokens_without_text() -> None:
    """The model has more logits than the tokenizer has tokens."""
    bench = Bench(FakeRunner(n_vocab=300, next_token=parrot([290, 3 + ord("a")], 3)))
    (g,) = bench.run(request(max_tokens=4, logprobs=0))
    assert bench.text(g) == "aa"


def test_an_interrupt_that_comes_before_the_step_begins_ends_it_and_hides_no_later_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(FakeRunner(poison=99))
    leaver = bench.add(request(max_tokens=5))
    real = bench.runner.step

    def interrupted_first(*args: Any) -> Any:
        leaver.dropped = True
        bench.stepper.interrupt_if_unwanted()
        monkeypatch.undo()
        return real(*args)

    monkeypatch.setattr(bench.runner, "step", interrupted_first)
    bench.step()
    assert bench.runner.batches == []
    bench.stepper.drop(leaver)
    failing = bench.add(request((1, 99)))
    bench.step()
    assert isinstance(bench.errors[failing], GenerationError)
