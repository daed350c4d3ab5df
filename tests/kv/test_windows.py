"""Layers with a window give pages back that no later token can see, and nothing else changes, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from oxillama.core._core import Program, Runner, ThreadPool, window_pages
from oxillama.errors import InvalidParameterError, KVCacheFullError, StepCancelledError
from oxillama.gguf import GGUFFile
from oxillama.models.describe import build_graph
from oxillama.models.graph import ops
from oxillama.models.graph.lower import Lowering
from tests.support.tiny_models import tiny_model

PAGE = 32
WINDOWS = (0, 40, 7)
"""Of the three layers of the model."""
N_CTX, N_SEQS, N_ACTIVE, N_PAGES = 400, 5, 3, 30


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("w") / "m.gguf", n_layer=3, n_embd=32, n_head=2, n_head_kv=1, n_ff=32)


def windowed(path: Path, *, frees: bool = True, cache_type: str = "f32", **sizes: int) -> Runner:
    """frees: whether the cache knows the windows; attention sees the same tokens either way."""
    gguf, pool = GGUFFile(path), ThreadPool(1)
    graph = build_graph(gguf, N_CTX).graph
    layers = [op for op in graph.ops if isinstance(op, ops.Attention)]
    for op, window in zip(layers, WINDOWS, strict=True):
        op.window, op.cache.window = window, window if frees else 0
    program = Program(gguf.core)
    Lowering(graph, program).run()
    program.reserve()
    for index in range(len(program.matrix_bytes)):
        program.pack(index, pool)
    sizes = {"n_vocab": 128, "n_embd": 32, "n_batch": 128, "n_ctx": N_CTX, "n_pages": N_PAGES, "n_seqs": N_SEQS} | sizes
    return Runner(program, pool, **sizes, cache_type=cache_type)


def feed(runner: Runner, seqs: list[int], tokens: Any) -> Any:
    """Append tokens[i] to seqs[i] in one step; the last logits of each."""
    flags = np.concatenate([[False] * (len(t) - 1) + [True] for t in tokens])
    return runner.step(np.concatenate(tokens).astype(np.int32), seqs, [len(t) for t in tokens], flags).copy()


def used(runner: Runner) -> list[int]:
    """Pages in use, by class; the one of zeros that classes with a window have is not counted."""
    return [n - free - (window > 0) for window, n, free, _ in runner.classes]


def span(window: int) -> int:
    """Most pages that window - 1 positions and the one after them lie in."""
    return (window + PAGE - 2) // PAGE + 1


def test_classes_come_from_the_windows(path: Path) -> None:
    classes = windowed(path, n_active=3, n_saved=2).classes
    one_layer = 2 * PAGE * 16 * 4
    assert [(window, size) for window, _, _, size in classes] == [(window, one_layer) for window in WINDOWS]
    assert [n for _, n, _, _ in classes] == [N_PAGES] + [window_pages(w, N_PAGES, 128, 3, 2) for w in WINDOWS[1:]]
    assert windowed(path, frees=False).classes == [(0, N_PAGES, N_PAGES, 3 * one_layer)]


def test_a_long_sequence_holds_a_window_however_long_it_gets(path: Path) -> None:
    runner = windowed(path)
    seq = runner.seq_open()
    for length in range(1, 300):
        feed(runner, [seq], [[length % 128]])
        full, *windows = used(runner)
        assert full == -(-length // PAGE)
        for held, window in zip(windows, WINDOWS[1:], strict=True):
            first = max(0, length - window + 1) // PAGE
            assert held == -(-length // PAGE) - first <= span(window)


@pytest.mark.parametrize("cache_type", ["f32", "f16", "i16", "q8_0"])
def test_freed_pages_change_no_bit(path: Path, cache_type: str) -> None:
    """Also in steps that are longer than the window, and with pages that others have used before."""
    runner, reference = windowed(path, cache_type=cache_type), windowed(path, frees=False, cache_type=cache_type)
    rng = np.random.default_rng(1)
    other = runner.seq_open()
    feed(runner, [other], [rng.integers(0, 128, 100)])
    runner.seq_close(other)
    seq, same = runner.seq_open(), reference.seq_open()
    for n in (3, 60, 1, 128, 30, 1, 1, 33):
        tokens = rng.integers(0, 128, n)
        assert np.array_equal(feed(runner, [seq], [tokens]), feed(reference, [same], [tokens]))


def test_the_longest_step_of_all_active_sequences_has_room(path: Path) -> None:
    """While others hold all that is left for saved ones, up to the pages of layers without a window."""
    runner = windowed(path, n_pages=60, n_active=3, n_saved=2)
    seqs = [runner.seq_open() for _ in range(5)]
    for seq in seqs:
        feed(runner, [seq], [[1] * 71])
    for _ in range(3):
        feed(runner, seqs[:3], [[2] * 62, [3] * 33, [4] * 33])


def test_a_place_behind_the_window_is_gone_unless_a_checkpoint_kept_it(path: Path) -> None:
    runner = windowed(path, n_saved=4)
    seq = runner.seq_open()
    feed(runner, [seq], [[1] * 100])
    feed(runner, [seq], [[2] * 100])
    assert [runner.seq_reusable(seq, n) for n in (200, 500, 199, 198, 50, 0)] == [200, 200, 199, 0, 0, 0]
    for call in (runner.seq_truncate, runner.seq_fork):
        with pytest.raises(InvalidParameterError, match=f"50 tokens of sequence {seq}: its windows .* is kept is 0"):
            call(seq, 50)
    assert runner.seq_checkpoint(seq)
    feed(runner, [seq], [[3] * 100])
    assert [runner.seq_reusable(seq, n) for n in (300, 250, 200, 199)] == [300, 200, 200, 0]
    with pytest.raises(InvalidParameterError, match="cannot be continued from -1 tokens"):
        runner.seq_reusable(seq, -1)


def test_without_windows_any_position_serves_and_a_checkpoint_is_free(path: Path) -> None:
    runner = windowed(path, frees=False)
    seq = runner.seq_open()
    feed(runner, [seq], [[1] * 100])
    assert runner.seq_checkpoint(seq)
    free = runner.free_pages
    feed(runner, [seq], [[1]])
    assert runner.free_pages == free
    assert [runner.seq_reusable(seq, n) for n in (0, 1, 77, 101, 102)] == [0, 1, 77, 101, 101]


def test_a_runner_that_saves_nothing_says_so(path: Path) -> None:
    runner = windowed(path)
    seq = runner.seq_open()
    assert runner.seq_checkpoint(seq)  # before the first token there is nothing to keep
    feed(runner, [seq], [[1] * 100])
    assert not runner.seq_checkpoint(seq)


def test_checkpoints_live_as_long_as_a_sequence_that_has_passed_them(path: Path) -> None:
    runner = windowed(path, n_saved=4)
    seq = runner.seq_open()
    feed(runner, [seq], [[1] * 100])
    runner.seq_checkpoint(seq)
    feed(runner, [seq], [[1] * 100])
    fork = runner.seq_fork(seq, 200)
    runner.seq_close(seq)
    assert runner.seq_reusable(fork, 199 - PAGE) == 100
    runner.seq_truncate(fork, 100)
    assert runner.seq_reusable(fork, 100) == 100
    feed(runner, [fork], [[1] * 100])
    assert runner.seq_reusable(fork, 150) == 100
    runner.seq_truncate(fork, 0)
    assert used(runner) == [0, 0, 0]


def test_the_least_recently_used_checkpoint_makes_room(path: Path) -> None:
    runner = windowed(path, n_saved=2)
    seq = runner.seq_open()
    for _ in range(2):
        feed(runner, [seq], [[1] * 100])
        runner.seq_checkpoint(seq)
    runner.seq_close(runner.seq_fork(seq, 100))  # now 200 is the one to go
    feed(runner, [seq], [[1] * 80])
    runner.seq_checkpoint(seq)
    feed(runner, [seq], [[1] * 100])
    assert [runner.seq_reusable(seq, n) for n in (379, 279, 250, 99)] == [379, 100, 100, 0]


def test_a_sequence_keeps_sixteen_checkpoints_over_its_whole_length(path: Path) -> None:
    runner = windowed(path, n_saved=40)
    seq = runner.seq_open()
    for _ in range(18):
        feed(runner, [seq], [[1] * 8])
        assert runner.seq_checkpoint(seq)
    feed(runner, [seq], [[1] * 100])
    assert [n for n in range(8, 145, 8) if runner.seq_reusable(seq, n) == n] == [8, 24, 40, *range(48, 145, 8)]


def test_two_that_share_the_tail_of_a_window_go_on_apart(path: Path) -> None:
    runner, reference = windowed(path, n_saved=1), windowed(path, frees=False)
    begin, first = list(range(100)), runner.seq_open()
    feed(runner, [first], [begin])
    second = runner.seq_fork(first, 100)
    runner.seq_checkpoint(first)
    for seq, token in ((first, 7), (second, 9)):
        feed(runner, [seq], [[token]])
    third = runner.seq_fork(first, 100)
    feed(runner, [third], [[11]])
    for seq, token in ((first, 7), (second, 9), (third, 11)):
        fresh = reference.seq_open()
        expected = feed(reference, [fresh], [[*begin, token, 3]])
        assert np.array_equal(feed(runner, [seq], [[3]]), expected)


class Windows(RuleBasedStateMachine):
    """Random calls, beside a model that knows each sequence's tokens and a runner that computes them afresh and keeps
    everything."""

    path: Path

    @initialize(n_saved=st.sampled_from([0, 2, 6]), n_pages=st.sampled_from([14, N_PAGES]))
    def start(self, n_saved: int, n_pages: int) -> None:
        self.runner = windowed(self.path, n_active=N_ACTIVE, n_saved=n_saved, n_pages=n_pages)
        self.reference = windowed(self.path, frees=False)
        self.tokens: dict[int, list[int]] = {}

    def pick(self, data: st.DataObject) -> Any:
        return data.draw(st.sampled_from(sorted(self.tokens)))

    @precondition(lambda self: len(self.tokens) < N_SEQS)
    @rule()
    def open_one(self) -> None:
        self.tokens[self.runner.seq_open()] = []

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def close_one(self, data: st.DataObject) -> None:
        seq = self.pick(data)
        self.runner.seq_close(seq)
        del self.tokens[seq]

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), n=st.integers(1, 42), cancels=st.integers(0, 5))
    def step(self, data: st.DataObject, n: int, cancels: int) -> None:
        seqs = data.draw(st.lists(st.sampled_from(sorted(self.tokens)), min_size=1, max_size=N_ACTIVE, unique=True))
        seqs = [seq for seq in seqs if len(self.tokens[seq]) + n <= N_CTX] or seqs[:1]
        n = min(n, N_CTX - len(self.tokens[seqs[0]]))
        if not n:
            return
        new = [data.draw(st.lists(st.integers(0, 127), min_size=n, max_size=n)) for _ in seqs]
        if not cancels:
            before = used(self.runner)
            self.runner.cancel()
            with pytest.raises(StepCancelledError):
                feed(self.runner, seqs, new)
            assert used(self.runner) == before
        try:
            logits = feed(self.runner, seqs, new)
        except KVCacheFullError as error:
            complaint = str(error)
        else:
            self.check(seqs, new, logits)
            return
        assert "for windows" not in complaint or len(self.tokens) > N_ACTIVE

    def check(self, seqs: list[int], new: list[list[int]], logits: Any) -> None:
        for seq, tokens, row in zip(seqs, new, logits, strict=True):
            self.tokens[seq] += tokens
            fresh = self.reference.seq_open()
            for at in range(0, len(self.tokens[seq]), 100):
                expected = feed(self.reference, [fresh], [self.tokens[seq][at : at + 100]])[0]
            self.reference.seq_close(fresh)
            assert np.array_equal(row, expected)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def checkpoint(self, data: st.DataObject) -> None:
        seq = self.pick(data)
        kept = self.runner.seq_checkpoint(seq)
        assert kept == (self.runner.n_saved > 0 or not self.tokens[seq])

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), share=st.floats(0, 1))
    def truncate(self, data: st.DataObject, share: float) -> None:
        seq = self.pick(data)
        n = self.runner.seq_reusable(seq, int(len(self.tokens[seq]) * share))
        self.runner.seq_truncate(seq, n)
        del self.tokens[seq][n:]

    @precondition(lambda self: 0 < len(self.tokens) < N_SEQS)
    @rule(data=st.data(), share=st.floats(0, 1))
    def fork(self, data: st.DataObject, share: float) -> None:
        seq = self.pick(data)
        n = self.runner.seq_reusable(seq, int(len(self.tokens[seq]) * share))
        self.tokens[self.runner.seq_fork(seq, n)] = self.tokens[seq][:n]

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), share=st.floats(0, 1))
    def refuse(self, data: st.DataObject, share: float) -> None:
        seq = self.pick(data)
        n = int(len(self.tokens[seq]) * share)
        if self.runner.seq_reusable(seq, n) != n:
            before = used(self.runner)
            with pytest.raises(InvalidParameterError, match="are gone"):
                self.runner.seq_truncate(seq, n)
            assert used(self.runner) == before

    @invariant()
    def windows_are_bounded(self) -> None:
        if not hasattr(self, "runner"):
            return
        for held, window in zip(used(self.runner)[1:], WINDOWS[1:], strict=True):
            assert held <= (len(self.tokens) + self.runner.n_saved) * span(window)
        for seq, tokens in self.tokens.items():
            assert self.runner.seq_len(seq) == len(tokens) == self.runner.seq_reusable(seq, len(tokens))

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            for seq in self.tokens:
                self.runner.seq_close(seq)
            assert used(self.runner) == [0, 0, 0]


def test_any_sequence_of_calls_gives_the_same_bits_as_keeping_everything(path: Path) -> None:
    Windows.path = path
    quick = settings(max_examples=40, stateful_step_count=25, deadline=None, derandomize=True)
    run_state_machine_as_test(Windows, settings=settings(quick, suppress_health_check=list(HealthCheck)))
