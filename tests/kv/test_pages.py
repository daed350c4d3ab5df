"""Pages of the key/value cache: owned once, shared by count, copied on write, never leaked."""

from __future__ import annotations

import resource
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oxillama.core._core import Runner
from oxillama.errors import InvalidParameterError, KVCacheFullError
from oxillama.models import load_model
from tests.support.tiny_models import tiny_model

PAGE = 32
N_PAGES = 12
N_CTX = 200
N_SEQS = 5


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("kv") / "m.gguf", n_layer=1, n_embd=32, n_head=2, n_head_kv=1, n_ff=32)


def load(path: Path) -> Runner:
    return load_model(path, n_threads=1, n_ctx=N_CTX, kv_pages=N_PAGES, n_batch=256, n_seqs=N_SEQS).runner


@pytest.fixture
def runner(model_path: Path) -> Runner:
    return load(model_path)


def feed(runner: Runner, seqs: list[int], tokens: Any) -> Any:
    """Append tokens[i] to seqs[i] in one step; the last logits of each."""
    flags = np.concatenate([[False] * (len(t) - 1) + [True] for t in tokens])
    return runner.step(np.concatenate(tokens).astype(np.int32), seqs, [len(t) for t in tokens], flags).copy()


def pages_for(n_tokens: int) -> int:
    return -(-n_tokens // PAGE)


class Pages(RuleBasedStateMachine):
    """Random sequences of calls, beside a model that knows each sequence's tokens."""

    path: Path

    @initialize()
    def start(self) -> None:
        self.runner = load(self.path)
        self.reference = load(self.path)
        self.tokens: dict[int, list[int]] = {}
        self.reserved: dict[int, int] = {}

    def held(self) -> dict[int, list[int]]:
        return {seq: self.runner.seq_pages(seq) for seq in self.tokens}

    def pick(self, data: st.DataObject) -> Any:
        return data.draw(st.sampled_from(sorted(self.tokens)))

    @rule()
    def open_one(self) -> None:
        if len(self.tokens) == N_SEQS:
            with pytest.raises(KVCacheFullError):
                self.runner.seq_open()
            return
        seq = self.runner.seq_open()
        assert seq not in self.tokens
        self.tokens[seq] = []

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def close_one(self, data: st.DataObject) -> None:
        seq = self.pick(data)
        self.runner.seq_close(seq)
        del self.tokens[seq]
        with pytest.raises(InvalidParameterError):
            self.runner.seq_len(seq)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), n=st.integers(1, 70))
    def step_some(self, data: st.DataObject, n: int) -> None:
        seqs = data.draw(st.lists(st.sampled_from(sorted(self.tokens)), min_size=1, max_size=3, unique=True))
        new = [data.draw(st.lists(st.integers(0, 127), min_size=n, max_size=n)) for _ in seqs]
        before = (self.runner.free_pages, self.held())
        if any(len(self.tokens[s]) + n > N_CTX for s in seqs):
            with pytest.raises(InvalidParameterError):
                feed(self.runner, seqs, new)
            assert before == (self.runner.free_pages, self.held())
            return
        try:
            logits = feed(self.runner, seqs, new)
        except KVCacheFullError:
            assert before == (self.runner.free_pages, self.held())
            return
        for seq, tokens, row in zip(seqs, new, logits, strict=True):
            self.tokens[seq] += tokens
            fresh = self.reference.seq_open()
            expected = feed(self.reference, [fresh], [self.tokens[seq]])[0]
            self.reference.seq_close(fresh)
            assert np.array_equal(row, expected)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), n=st.integers(0, 100))
    def reserve(self, data: st.DataObject, n: int) -> None:
        seq = self.pick(data)
        before = (self.runner.free_pages, self.held())
        try:
            self.runner.seq_reserve(seq, n)
        except (KVCacheFullError, InvalidParameterError):
            assert before == (self.runner.free_pages, self.held())
        else:
            assert len(self.runner.seq_pages(seq)) >= pages_for(len(self.tokens[seq]) + n)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), share=st.floats(0, 1))
    def truncate(self, data: st.DataObject, share: float) -> None:
        seq = self.pick(data)
        n = int(len(self.tokens[seq]) * share)
        self.runner.seq_truncate(seq, n)
        del self.tokens[seq][n:]
        assert len(self.runner.seq_pages(seq)) == pages_for(n)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), share=st.floats(0, 1))
    def fork(self, data: st.DataObject, share: float) -> None:
        seq = self.pick(data)
        n = int(len(self.tokens[seq]) * share)
        free = self.runner.free_pages
        try:
            new = self.runner.seq_fork(seq, n)
        except KVCacheFullError:
            assert len(self.tokens) == N_SEQS
            return
        assert self.runner.free_pages == free
        assert self.runner.seq_pages(new) == self.runner.seq_pages(seq)[: pages_for(n)]
        self.tokens[new] = self.tokens[seq][:n]

    @invariant()
    def every_page_is_free_or_held(self) -> None:
        if not hasattr(self, "runner"):
            return
        held = self.held()
        for seq, pages in held.items():
            assert len(set(pages)) == len(pages)
            assert self.runner.seq_len(seq) == len(self.tokens[seq])
        distinct = {page for pages in held.values() for page in pages}
        assert len(distinct) + self.runner.free_pages == N_PAGES

    @invariant()
    def a_shared_page_holds_the_same_tokens(self) -> None:
        if not hasattr(self, "runner"):
            return
        content: dict[int, dict[int, tuple[int, ...]]] = {}
        for seq, pages in self.held().items():
            for i, page in enumerate(pages):
                content.setdefault(page, {})[seq] = tuple(self.tokens[seq][i * PAGE : (i + 1) * PAGE])
        for owners in content.values():
            longest = max(owners.values(), key=len)
            assert all(longest[: len(tokens)] == tokens for tokens in owners.values())

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            for seq in list(self.tokens):
                self.runner.seq_close(seq)
            assert self.runner.free_pages == N_PAGES


def test_any_sequence_of_calls_keeps_the_pages_in_order(model_path: Path) -> None:
    Pages.path = model_path
    quick = settings(max_examples=40, stateful_step_count=25, deadline=None, derandomize=True)
    quick = settings(quick, suppress_health_check=list(HealthCheck))
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Pages, settings=quick)


def test_two_that_share_a_tail_copy_it_once(runner: Runner) -> None:
    first = runner.seq_open()
    feed(runner, [first], [list(range(40))])
    second = runner.seq_fork(first, 40)
    assert runner.free_pages == N_PAGES - 2
    feed(runner, [first, second], [[1], [2]])
    assert runner.free_pages == N_PAGES - 3
    one, two = runner.seq_pages(first), runner.seq_pages(second)
    assert one[0] == two[0]
    assert one[1] != two[1]


def test_a_full_cache_refuses_the_whole_step(runner: Runner) -> None:
    seqs = [runner.seq_open() for _ in range(3)]
    feed(runner, seqs[:2], [[1] * 160, [2] * 96])
    with pytest.raises(KVCacheFullError, match="full: 5 pages of 32 tokens needed, 4 free"):
        feed(runner, [seqs[2], seqs[0]], [[3] * 128, [4]])
    assert [runner.seq_len(s) for s in seqs] == [160, 96, 0]
    assert runner.free_pages == 4


def test_the_context_is_a_separate_limit(runner: Runner) -> None:
    seq = runner.seq_open()
    feed(runner, [seq], [[1] * N_CTX])
    with pytest.raises(InvalidParameterError, match="1 more do not fit the context of 200"):
        feed(runner, [seq], [[1]])


@pytest.mark.parametrize("call", ["seq_close", "seq_len", "seq_pages_of_none"])
def test_a_closed_sequence_is_refused(runner: Runner, call: str) -> None:
    seq = runner.seq_open()
    runner.seq_close(seq)
    if call == "seq_pages_of_none":
        assert runner.seq_pages(seq) == []
    else:
        with pytest.raises(InvalidParameterError, match="is not open"):
            getattr(runner, call)(seq)


@pytest.mark.parametrize("seq", [-1, 5, 2**31 - 1])
def test_a_sequence_number_that_was_never_opened_is_refused(runner: Runner, seq: Any) -> None:
    for call, *arguments in (("close",), ("len",), ("fork", 0), ("truncate", 0), ("reserve", 1)):
        with pytest.raises(InvalidParameterError, match="is not open"):
            getattr(runner, f"seq_{call}")(seq, *arguments)


def test_truncating_and_forking_beyond_the_end_is_refused(runner: Runner) -> None:
    seq = runner.seq_open()
    feed(runner, [seq], [[1, 2, 3]])
    with pytest.raises(InvalidParameterError, match="keep 4 tokens"):
        runner.seq_truncate(seq, 4)
    with pytest.raises(InvalidParameterError, match="share -1 tokens"):
        runner.seq_fork(seq, -1)


def test_ten_thousand_generations_leak_nothing(runner: Runner) -> None:
    prompt = np.arange(40, dtype=np.int32)
    flags = np.zeros(40, bool)

    def cycle() -> None:
        seq = runner.seq_open()
        runner.seq_reserve(seq, 100)
        fork = runner.seq_fork(seq, 0)
        runner.seq_close(seq)
        runner.seq_close(fork)

    runner.step(prompt, [runner.seq_open()], [40], flags)
    for _ in range(500):
        cycle()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10_000):
        cycle()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < (4 << 20 if sys.platform == "darwin" else 4 << 10)
    assert runner.free_pages == N_PAGES - 2


def test_page_numbers_are_counted_across_sequences(runner: Runner) -> None:
    seqs = [runner.seq_open() for _ in range(2)]
    feed(runner, seqs, [[1] * 33, [2] * 65])
    counts = Counter(page for seq in seqs for page in runner.seq_pages(seq))
    assert set(counts.values()) == {1}
    assert len(counts) == 5
