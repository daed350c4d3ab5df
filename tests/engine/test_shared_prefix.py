"""Requests that run at the same time compute what they have in common once, and their results stay the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.types import Priority
from oxillama.engine.decoding.generation import Generation
from oxillama.engine.engine import Engine
from oxillama.engine.ticket import TicketState
from tests.engine.harness import Bench, request
from tests.engine.test_prefix import alone, computed
from tests.support.fake_runner import FakeRunner
from tests.support.tiny_models import tiny_model

COMMON = tuple(range(10, 30))


def check_pages(bench: Bench) -> None:
    """The scheduler's account has room for all pages of the sequences that run, with those that they share once."""
    runner, scheduler = bench.runner, bench.stepper.scheduler
    running = [g.seq for g in bench.events if g.seq is not None]
    held = {page for seq in running for page in runner.seq_pages(seq)}
    assert len(held) <= scheduler.n_pages - scheduler.free_pages <= scheduler.n_pages


def finish(bench: Bench) -> None:
    while not bench.stepper.idle:
        bench.step()
        check_pages(bench)


def test_requests_that_arrive_together_compute_their_common_part_once() -> None:
    bench = Bench()
    prompts = [(*COMMON, *[100 + i] * 4) for i in range(4)]

    found = [bench.add(request(prompt, max_tokens=5)) for prompt in prompts]
    finish(bench)

    assert bench.runner.batches[:3] == [[16], [4], [4, 4, 4, 4]]
    assert bench.stepper.n_prompt_tokens == len(COMMON) + 4 * 4
    assert [g.usage.cached_tokens for g in found] == [0, 20, 20, 20]
    assert bench.stepper.n_cached_tokens == 60
    assert [bench.ids(g) for g in found] == [alone(prompt, 5) for prompt in prompts]


def test_identical_prompts_share_all_but_the_last_token() -> None:
    bench = Bench(FakeRunner(n_batch=32))
    found = bench.run(*(request(COMMON, max_tokens=4, temperature=1.0, seed=i) for i in range(4)))

    assert bench.runner.batches[:2] == [[20], [1, 1, 1, 1]]  # the first decodes, the others read their last token
    assert [g.usage.cached_tokens for g in found] == [0, 19, 19, 19]


def test_a_request_goes_on_as_soon_as_the_common_part_is_computed() -> None:
    bench = Bench(n_ctx=128)
    first = bench.add(request((*COMMON, *range(30, 80)), max_tokens=1))
    second = bench.add(request((*COMMON, 200), max_tokens=1))
    for _ in range(3):
        bench.step()

    assert bench.runner.batches == [[16], [4], [15, 1]]
    assert bench.ids(second) == alone((*COMMON, 200), 1)
    assert bench.ids(first) == []


def test_a_request_waits_for_the_one_with_the_longest_common_part() -> None:
    bench = Bench(FakeRunner(n_batch=32), n_kept=2)
    more = (*COMMON, *range(60, 80))
    prompts = [(*COMMON, 200, 201), (*more, 202), (*more, 203)]
    bench.run(*(request(prompt, max_tokens=1) for prompt in prompts))

    assert bench.stepper.n_prompt_tokens == len(more) + 2 + 1 + 1
    assert bench.runner.batches == [[22], [21], [1]]  # the rest of the first two is too short to end a slice for


def test_a_few_common_tokens_are_not_waited_for() -> None:
    bench = Bench(worth_waiting=8)
    bench.run(request((*COMMON[:7], 100), max_tokens=1), request((*COMMON[:7], 101), max_tokens=1))

    assert bench.runner.batches == [[8, 8]]


def test_one_that_waits_holds_up_no_other() -> None:
    bench = Bench()
    for prompt in ((*COMMON, 100), (*COMMON, 101), tuple(range(210, 230))):
        bench.add(request(prompt, max_tokens=1))
    bench.step()

    assert bench.runner.batches == [[8, 8]]  # the first and the third


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_when_the_first_is_cancelled_the_next_goes_on_where_it_was(steps: int) -> None:
    bench = Bench(FakeRunner(n_batch=8), n_kept=4)
    found = [bench.add(request((*COMMON, 100 + i), max_tokens=3)) for i in range(3)]
    for _ in range(steps):
        bench.step()
    bench.stepper.drop(found[0])
    finish(bench)

    assert bench.stepper.n_prompt_tokens == len(COMMON) + 2
    assert [bench.ids(g) for g in found[1:]] == [alone((*COMMON, 100 + i), 3) for i in (1, 2)]
    assert [g.usage.cached_tokens for g in found[1:]] == [8 * steps, 20]


def test_when_the_first_fails_the_next_computes_the_common_part() -> None:
    bench = Bench(FakeRunner(n_batch=24, poison=99))
    found = [bench.add(request((*COMMON, i, 100), max_tokens=3)) for i in (99, 101, 102)]
    finish(bench)

    assert list(bench.errors) == found[:1]
    assert [bench.ids(g) for g in found[1:]] == [alone((*COMMON, i, 100), 3) for i in (101, 102)]


def test_without_memory_for_a_fork_only_that_request_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(n_ctx=128)
    first = bench.add(request(COMMON, max_tokens=20))
    bench.step()
    bench.step()

    def full(*_: int) -> int:
        raise MemoryError("out of memory for a sequence")

    with monkeypatch.context() as patch:
        patch.setattr(bench.runner, "seq_fork", full)
        lost = bench.add(request((*COMMON, 100), max_tokens=3))
        bench.step()
    (later,) = bench.run(request((*COMMON, 100), max_tokens=3))

    assert list(bench.errors) == [lost]
    assert "out of memory" in str(bench.errors[lost])
    assert later.usage.cached_tokens == len(COMMON)
    assert bench.ids(first) == alone(COMMON, 20)
    assert bench.stepper.scheduler.free_pages == bench.runner.free_pages == bench.runner.n_pages


def test_when_one_in_a_chain_of_waits_fails_the_next_goes_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(n_ctx=128)
    more = (*COMMON, *range(60, 80))
    first, lost, last = [bench.add(request(p, max_tokens=3)) for p in ((*COMMON, 100), (*more, 101), (*more, 102))]
    fork, results = bench.runner.seq_fork, iter([MemoryError("out of memory for a sequence")])

    def full_once(seq: int, n: int) -> int:
        for error in results:
            raise error
        return fork(seq, n)

    monkeypatch.setattr(bench.runner, "seq_fork", full_once)
    finish(bench)

    assert list(bench.errors) == [lost]
    assert (last.usage.cached_tokens, bench.stepper.n_prompt_tokens) == (20, 21 + 21)
    assert [bench.ids(g) for g in (first, last)] == [alone(p, 3) for p in ((*COMMON, 100), (*more, 102))]
    assert bench.stepper.scheduler.free_pages == bench.runner.free_pages == bench.runner.n_pages


def test_a_request_that_decodes_is_a_source() -> None:
    bench = Bench(n_ctx=128)
    bench.add(request(COMMON, max_tokens=50))
    for _ in range(10):
        bench.step()
    (later,) = bench.run(request((*COMMON, 100), max_tokens=3))

    assert later.usage.cached_tokens == len(COMMON)
    assert bench.ids(later) == alone((*COMMON, 100), 3)


def test_interactive_requests_do_not_wait_for_background_work() -> None:
    bench = Bench(FakeRunner(n_batch=8))
    slow = bench.add(request((*COMMON, 100), max_tokens=2, priority=Priority.BACKGROUND))
    bench.step()
    quick = bench.add(request((*COMMON, 101), max_tokens=2))
    bench.step()

    assert quick.usage.cached_tokens == 8
    assert bench.runner.batches == [[8], [7, 1]]
    finish(bench)
    assert [bench.ids(g) for g in (slow, quick)] == [alone((*COMMON, i), 2) for i in (100, 101)]


def test_background_requests_wait_for_interactive_ones() -> None:
    bench = Bench(FakeRunner(n_batch=8))
    bench.add(request((*COMMON, 100), max_tokens=2))
    slow = bench.add(request((*COMMON, 101), max_tokens=2, priority=Priority.BACKGROUND))
    finish(bench)

    assert slow.usage.cached_tokens == 20


@pytest.mark.parametrize("running", [True, False])
def test_requests_of_different_scopes_share_nothing(running: bool) -> None:
    bench = Bench(n_kept=4)
    asked = [request(COMMON, max_tokens=1, cache_scope=scope) for scope in ("a", "b", "a", None, None)]
    found = bench.run(*asked) if running else [g for one in asked for g in bench.run(one)]

    assert [g.usage.cached_tokens for g in found] == [0, 0, 19, 0, 19]


def test_a_request_that_shares_nothing_waits_for_none_and_is_waited_for_by_none() -> None:
    bench = Bench(FakeRunner(n_batch=64))
    found = bench.run(*(request(COMMON, max_tokens=2, cache_prompt=False) for _ in range(3)))

    assert bench.runner.batches == [[20, 20, 20], [1, 1, 1]]
    assert [g.usage.cached_tokens for g in found] == [0, 0, 0]


def test_shared_pages_count_once() -> None:
    """Eight requests of 7 pages each run at once in 16 pages, since they have 5 in common."""
    bench = Bench(FakeRunner(n_pages=16, n_batch=32), n_slots=8, allowance=2)
    first = bench.add(request((*COMMON, 100), max_tokens=30))
    bench.step()
    found = [bench.add(request((*COMMON, 101 + i), max_tokens=2)) for i in range(7)]
    bench.step()

    assert bench.stepper.scheduler.n_active == 8
    check_pages(bench)
    finish(bench)
    assert bench.stepper.scheduler.n_paused == 0
    assert bench.ids(first) == alone((*COMMON, 100), 30)
    assert [bench.ids(g) for g in found] == [alone((*COMMON, 101 + i), 2) for i in range(7)]
    assert bench.stepper.scheduler.free_pages == 16


def test_a_paused_request_continues_from_its_own_pages_if_nothing_took_them() -> None:
    bench = Bench(FakeRunner(n_pages=16), n_ctx=60, n_slots=2, allowance=4, n_kept=2)
    old, young = bench.add(request((3, 4), max_tokens=40)), bench.add(request((5, 6), max_tokens=50))
    while not bench.stepper.scheduler.n_paused:
        bench.step()
    before, written = computed(bench), len(bench.ids(young))
    bench.stepper.drop(old, keep=False)
    finish(bench)

    assert bench.ids(young) == alone((5, 6), 50)
    assert computed(bench) - before == 50 - written + 4  # the old one has taken a page
    assert young.usage.cached_tokens == 0


def recurrent(most_checkpoints: int = 4) -> Bench:
    """With a model whose sequences are continued only from checkpoints."""
    runner = FakeRunner(any_position=False, n_pages=256, most_checkpoints=most_checkpoints)
    return Bench(runner, n_ctx=512, n_kept=8)


def test_with_checkpoints_the_next_turn_computes_only_its_new_tokens() -> None:
    bench = recurrent()
    prompt, known = COMMON, 0
    for turn in range(6):
        (g,) = bench.run(request(prompt, max_tokens=5))
        assert g.usage.cached_tokens == known
        answer = tuple(i for i in bench.ids(g) if i is not None)
        assert list(answer) == alone(prompt, 5)
        known = len(prompt) + len(answer) - 1  # the last token of an answer was chosen, not computed
        prompt = (*prompt, *answer, 200, 201 + turn)


def test_with_checkpoints_the_same_prompt_again_computes_its_last_page() -> None:
    bench = recurrent()
    prompts = [(*COMMON, 100, 101), (*COMMON, 100, 101), (*COMMON, 100, 101, 102)]
    found = [bench.run(request(prompt, max_tokens=5))[0] for prompt in prompts]

    assert [g.usage.cached_tokens for g in found] == [0, 20, 22]  # pages of 4 tokens; the prompt's end is a checkpoint
    assert [bench.ids(g) for g in found] == [alone(prompt, 5) for prompt in prompts]


def test_with_checkpoints_a_beginning_is_shared_from_its_third_use_on() -> None:
    """The first request does not know where others will differ; the second does, and leaves a checkpoint there."""
    bench = recurrent()
    prompts = [(*COMMON[:18], *[100 + i] * 12) for i in range(4)]
    found = [bench.run(request(prompt, max_tokens=2))[0] for prompt in prompts]

    assert [g.usage.cached_tokens for g in found] == [0, 0, 18, 18]
    assert [bench.ids(g) for g in found] == [alone(prompt, 2) for prompt in prompts]


def test_with_checkpoints_requests_that_arrive_together_compute_their_common_part_once() -> None:
    bench = recurrent()
    prompts = [(*COMMON[:18], 100 + i) for i in range(4)]
    found = bench.run(*(request(prompt, max_tokens=5) for prompt in prompts))

    assert bench.runner.batches[:3] == [[16], [2], [1, 1, 1, 1]]
    assert [g.usage.cached_tokens for g in found] == [0, 18, 18, 18]
    assert [bench.ids(g) for g in found] == [alone(prompt, 5) for prompt in prompts]


def test_with_checkpoints_long_prompts_get_some_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oxillama.engine.batching.sharing.CHECKPOINT_TOKENS", 32)
    bench = recurrent(most_checkpoints=99)
    prompt = tuple(3 + i % 200 for i in range(150))
    bench.run(request(prompt, max_tokens=80))
    (idle,) = bench.runner.checkpoints.values()
    assert idle == [32, 64, 96, 128, 148, 150, 182, 214]

    (other,) = bench.run(request((*prompt[:100], 250, 251), max_tokens=2))
    assert other.usage.cached_tokens == 96


@settings(max_examples=60, deadline=None)
@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from([0, 3, 9, 20]),
            st.integers(60, 62),
            st.integers(1, 12),
            st.integers(0, 3),
            st.sampled_from(Priority),
            st.sampled_from([None, None, "a"]),
        ),
        min_size=1,
        max_size=10,
    ),
    leaves=st.lists(st.tuples(st.integers(0, 25), st.integers(0, 9)), max_size=3),
    n_slots=st.integers(1, 5),
    n_kept=st.integers(0, 5),
    n_pages=st.integers(12, 30),
    allowance=st.integers(1, 8),
    n_batch=st.sampled_from([6, 16, 48]),
    any_position=st.booleans(),
)
def test_results_do_not_depend_on_what_is_shared(
    asked: list[tuple[int, int, int, int, Priority, str | None]],
    leaves: list[tuple[int, int]],
    n_slots: int,
    n_kept: int,
    n_pages: int,
    allowance: int,
    n_batch: int,
    any_position: bool,
) -> None:
    runner = FakeRunner(n_pages=n_pages, n_batch=n_batch, any_position=any_position)
    bench = Bench(runner, n_ctx=48, n_slots=n_slots, n_kept=n_kept, allowance=allowance)
    runs: list[tuple[tuple[int, ...], Generation]] = []
    gone: set[Generation] = set()
    now = 0

    def step() -> None:
        nonlocal now
        for at, which in leaves:
            if at == now and which < len(runs) and runs[which][1].ended is None:
                gone.add(runs[which][1])
                bench.stepper.drop(runs[which][1])
        n_before, idle = len(bench.runner.batches), bench.stepper.idle
        bench.step()
        assert idle or len(bench.runner.batches) > n_before, "a step without work"
        check_pages(bench)
        now += 1

    for shared, other, n, wait, priority, scope in asked:
        prompt = (1, *range(10, 10 + shared), *[other] * n)
        runs.append((prompt, bench.add(request(prompt, max_tokens=6, priority=priority, cache_scope=scope))))
        for _ in range(wait):
            step()
    while not bench.stepper.idle:
        step()

    assert not bench.errors
    for prompt, g in runs:
        assert g.ticket.state is TicketState.ENDED
        assert bench.ids(g) == alone(prompt, 6)[: None if g not in gone else len(bench.ids(g))]
    if not gone:
        cached = sum(g.usage.cached_tokens for _, g in runs)
        assert bench.stepper.n_cached_tokens == cached
        assert bench.stepper.n_prompt_tokens + cached == sum(len(prompt) for prompt, _ in runs)
    assert bench.stepper.prefix.n_idle <= n_kept
    while bench.stepper.prefix.evict():
        pass
    assert bench.runner.free_pages == bench.stepper.scheduler.free_pages == n_pages


async def test_a_real_model_gives_the_same_texts_to_requests_that_share(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny.gguf", vocab="spm")
    prompts = [(*range(3, 130), 140 + i, *range(5, 5 + i)) for i in range(5)]
    together: dict[tuple[int, ...], list[int | None]] = {}

    async def ask(engine: Engine, prompt: tuple[int, ...], *, reuse: bool) -> list[int | None]:
        asked = request(prompt, max_tokens=12, ignore_eos=True, temperature=0.9, seed=3, cache_prompt=reuse)
        async with engine.generate(asked) as stream:
            return [event.token_id async for event in stream]

    async def note(engine: Engine, prompt: tuple[int, ...]) -> None:
        together[prompt] = await ask(engine, prompt, reuse=True)

    async with Engine.open(path, EngineConfig(n_threads=1, parallel=5, n_batch=32)) as engine:
        async with trio.open_nursery() as nursery:
            for prompt in prompts:
                nursery.start_soon(note, engine, prompt)
        counts = engine.statistics()
        alone_ = {prompt: await ask(engine, prompt, reuse=False) for prompt in prompts}

    assert together == alone_
    assert counts.prompt_tokens_total == 127 + sum(1 + i for i in range(5))
    assert counts.prompt_tokens_total + counts.cached_tokens_total == sum(map(len, prompts))
