"""Models with windows and recurrent states continue from what was kept, with the same bits as computed afresh."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Runner
from oxillama.errors import InvalidParameterError, KVCacheFullError, StepCancelledError
from oxillama.gguf import GGUFFile
from oxillama.models import load_model
from oxillama.models.describe import build_graph
from oxillama.models.memory import sequence_memory
from tests.support.oracles import expected, expected_long, make_oracle

SIZES: dict[str, Any] = {"n_threads": 2, "n_ctx": 512, "kv_pages": 64, "n_seqs": 12, "n_active": 2, "n_saved": 3}
WINDOWS = ["gemma2-real", "gemma3-real", "gemma4", "gpt-oss-real"]
MODELS = [*WINDOWS, "lfm2-real", "lfm2moe-real", "qwen35", "qwen3next-moe"]
ALIKE = ("gemma2-real", "gpt-oss-real", "lfm2moe-real", "qwen3next-moe")  # to others, in what they remember
Model = tuple[str, Runner]


@pytest.fixture(scope="module", params=[pytest.param(m, marks=pytest.mark.slow) if m in ALIKE else m for m in MODELS])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    loaded = load_model(make_oracle(request.param, tmp_path_factory.mktemp("f") / "m.gguf"), **SIZES)
    yield request.param, loaded.runner
    loaded.close()


@pytest.fixture
def runner(model: Model) -> Iterator[Runner]:
    """With no sequence open, before and after."""
    yield model[1]
    for seq in range(SIZES["n_seqs"]):
        with suppress(InvalidParameterError):
            model[1].seq_close(seq)
    assert all(n - (window > 0) == free for window, n, free, _ in model[1].classes)
    assert model[1].free_states == max(0, model[1].state_bytes and 2 * SIZES["n_active"] + SIZES["n_saved"])


def some(seed: int, n: int, runner: Runner) -> Any:
    return np.random.default_rng(seed).integers(0, runner.n_vocab, n, dtype=np.int32)


def feed(runner: Runner, seq: int, tokens: Any) -> Any:
    """The logits of the last of the tokens."""
    return runner.step(tokens, [seq], [len(tokens)], np.arange(len(tokens)) == len(tokens) - 1)[0].copy()


def afresh(runner: Runner, tokens: Any) -> Any:
    """The same of a new sequence, with the prompt in one step as far as possible."""
    tokens, seq = np.asarray(tokens, np.int32), runner.seq_open()
    row = [feed(runner, seq, tokens[at : at + 512]) for at in range(0, len(tokens), 512)][-1]
    runner.seq_close(seq)
    return row


def test_a_conversation_goes_on_from_its_end_and_from_every_checkpoint(runner: Runner) -> None:
    tokens = some(1, 230, runner)
    seq = runner.seq_open()
    feed(runner, seq, tokens[:70])
    assert runner.seq_checkpoint(seq)
    feed(runner, seq, tokens[70:133])
    assert runner.seq_checkpoint(seq)
    assert np.array_equal(feed(runner, seq, tokens[133:]), afresh(runner, tokens))
    again = some(2, 40, runner)
    assert [runner.seq_reusable(seq, n) for n in (230, 133, 132, 70, 69)] == [230, 133, 70, 70, 0]
    for n in (70, 133):
        fork = runner.seq_fork(seq, n)
        assert np.array_equal(feed(runner, fork, again), afresh(runner, [*tokens[:n], *again]))
        runner.seq_close(fork)
    runner.seq_truncate(seq, 70)
    assert np.array_equal(feed(runner, seq, again), afresh(runner, [*tokens[:70], *again]))


def test_random_calls_give_the_bits_of_a_fresh_sequence(runner: Runner) -> None:
    rng = np.random.default_rng(3)
    known: dict[int, list[int]] = {runner.seq_open(): []}
    for turn in range(30):
        seq = int(rng.choice(list(known)))
        n = runner.seq_reusable(seq, int(rng.integers(0, len(known[seq]) + 1)))
        match rng.integers(0, 6):
            case 0 if len(known) < 3:
                known[runner.seq_fork(seq, n)] = known[seq][:n]
            case 1 if turn % 3 == 0:
                runner.seq_truncate(seq, n)
                del known[seq][n:]
            case 2:
                assert runner.seq_checkpoint(seq)
            case 3 if len(known) > 1:
                runner.seq_close(seq)
                del known[seq]
            case _:
                new = rng.integers(0, runner.n_vocab, int(rng.integers(1, 50)))
                if len(known[seq]) + len(new) > 400:
                    continue
                known[seq] += new.tolist()
                want = afresh(runner, known[seq])
                assert np.array_equal(feed(runner, seq, new.astype(np.int32)), want)


def test_a_step_that_was_cancelled_midway_has_changed_nothing(runner: Runner) -> None:
    tokens, after = some(4, 100, runner), some(5, 5, runner)
    seq = runner.seq_open()
    feed(runner, seq, tokens)
    free = [free for _, _, free, _ in runner.classes], runner.free_states
    done, midway = threading.Event(), 0

    def cancel_until_done() -> None:
        while not done.is_set():
            runner.cancel()

    canceller = threading.Thread(target=cancel_until_done)
    canceller.start()
    try:
        for _ in range(10_000):
            before = runner.pool.counts["barriers"]
            try:
                feed(runner, seq, some(6, 300, runner))
            except StepCancelledError:
                midway += runner.pool.counts["barriers"] > before
            else:  # it was quicker than the other thread
                runner.seq_close(seq)
                seq = runner.seq_open()
                refill(runner, seq, tokens)
            if midway == 3:
                break
    finally:
        done.set()
        canceller.join()
    assert midway == 3
    runner.cancel()
    with pytest.raises(StepCancelledError):  # the last of the other thread's, or this one
        feed(runner, seq, after)
    assert ([free for _, _, free, _ in runner.classes], runner.free_states) == free
    assert np.array_equal(feed(runner, seq, after), afresh(runner, [*tokens, *after]))


def refill(runner: Runner, seq: int, tokens: Any) -> None:
    """Feed the tokens although another thread cancels all the time."""
    while runner.seq_len(seq) == 0:
        try:
            feed(runner, seq, tokens)
        except StepCancelledError:
            continue


def test_closing_idle_sequences_makes_room_for_active_ones(runner: Runner) -> None:
    """Checkpoints and idle sequences are more than what is saved. Checkpoints give way by themselves."""
    idle: list[int] = []

    def step(seqs: list[int], tokens: Any) -> Any:
        counts = [len(tokens) // len(seqs)] * len(seqs)
        while True:
            try:
                return runner.step(tokens, seqs, counts, np.ones(len(tokens), bool)).copy()
            except KVCacheFullError:
                runner.seq_close(idle.pop(0))

    for _ in range(9):
        idle.append(runner.seq_open())
        step(idle[-1:], some(len(idle), 60, runner))
        runner.seq_checkpoint(idle[-1])
    active = [runner.seq_open() for _ in range(2)]
    tokens = some(9, 120, runner)
    rows = step(active, tokens)
    assert idle  # some were left
    for seq in idle:
        runner.seq_close(seq)
    for i in range(2):
        assert np.array_equal(rows[60 * i + 59], afresh(runner, tokens[60 * i : 60 * i + 60]))


@pytest.mark.parametrize("name", WINDOWS)
def test_a_long_sequence_holds_no_more_than_its_windows(name: str, tmp_path: Path) -> None:
    model = load_model(make_oracle(name, tmp_path / "m.gguf"), **SIZES)
    tokens = expected_long(name)[0] if name != "gemma4" else np.tile(expected(name)[0], 8)
    seq, most = model.runner.seq_open(), 0
    for at in range(0, len(tokens), 10):
        feed(model.runner, seq, tokens[at : at + 10])
        window, n, free, _ = model.runner.classes[1]
        most = max(most, n - 1 - free)
    assert window < 100 < len(tokens)
    assert most <= (window + 30) // 32 + 1
    model.close()


def test_the_estimate_counts_the_states_of_every_hybrid_family(model: Model, tmp_path: Path) -> None:
    name, runner = model
    gguf = GGUFFile(make_oracle(name, tmp_path / "m.gguf"))
    use = sequence_memory(build_graph(gguf).graph, runner.cache_type).of(n_pages=64, n_batch=512, n_active=2, n_saved=3)
    assert (use.cache + use.windows, use.states) == (runner.cache_bytes, runner.state_bytes)
    assert (use.states > 0) == (name not in WINDOWS)
    assert (use.windows > 0) == (name in WINDOWS)
