"""Recurrent states: a block for each sequence with tokens, another for each in a step, shared at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Program, Runner, ThreadPool
from oxillama.errors import InvalidParameterError, KVCacheFullError, StepCancelledError
from oxillama.gguf import GGUFFile
from oxillama.models.describe import build_graph
from oxillama.models.graph.lower import Lowering
from tests.support.tiny_models import tiny_model

SIZES: dict[str, Any] = {"n_vocab": 128, "n_embd": 32, "n_batch": 64, "n_ctx": 200, "n_pages": 12, "n_seqs": 4}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("s") / "m.gguf", n_layer=1, n_embd=32, n_head=2, n_head_kv=1, n_ff=32)


def runner_with_states(path: Path, floats: tuple[int, ...] = (40, 3), **sizes: int) -> Runner:
    gguf, pool = GGUFFile(path), ThreadPool(1)
    program = Program(gguf.core)
    Lowering(build_graph(gguf, 64).graph, program).run()
    assert [program.state(n) for n in floats] == list(range(len(floats)))
    program.reserve()
    for index in range(len(program.matrix_bytes)):
        program.pack(index, pool)
    return Runner(program, pool, **(SIZES | sizes), cache_type="f32")


def feed(runner: Runner, *runs: tuple[int, int]) -> None:
    """Append n tokens to each sequence, in one step."""
    n = sum(count for _, count in runs)
    seqs, counts = zip(*runs, strict=True)
    runner.step(np.zeros(n, np.int32), seqs, counts, np.zeros(n, bool))


def test_a_model_without_states_has_no_memory_for_them(path: Path) -> None:
    runner = runner_with_states(path, ())
    assert (runner.state_bytes, runner.free_states) == (0, 0)
    seq = runner.seq_open()
    feed(runner, (seq, 10))
    runner.seq_truncate(seq, 4)


def test_states_are_laid_out_on_cache_lines_in_every_block(path: Path) -> None:
    """40 and 3 values take three lines and one. A sequence in a step has two blocks, and one is zeros."""
    assert runner_with_states(path).state_bytes == (2 * 4 + 1) * (48 + 16) * 4
    assert runner_with_states(path, n_active=2, n_saved=3).state_bytes == (2 * 2 + 3 + 1) * (48 + 16) * 4


def test_a_sequence_holds_one_block_from_its_first_token_on(path: Path) -> None:
    runner = runner_with_states(path)
    seqs = [runner.seq_open() for _ in range(3)]
    assert runner.free_states == 8
    feed(runner, (seqs[0], 5), (seqs[1], 1))
    assert runner.free_states == 6
    feed(runner, (seqs[0], 1))
    assert runner.free_states == 6
    runner.seq_truncate(seqs[0], 0)
    assert runner.free_states == 7
    runner.seq_close(seqs[1])
    assert runner.free_states == 8


def test_a_fork_at_the_end_shares_the_block_until_one_of_the_two_goes_on(path: Path) -> None:
    runner = runner_with_states(path)
    seq = runner.seq_open()
    feed(runner, (seq, 40))
    fork = runner.seq_fork(seq, 40)
    empty = runner.seq_fork(seq, 0)
    assert runner.free_states == 7
    feed(runner, (fork, 1))
    assert runner.free_states == 6
    runner.seq_close(seq)
    runner.seq_close(empty)
    assert runner.free_states == 7


@pytest.mark.parametrize("call", ["truncate", "fork"])
def test_a_position_whose_states_are_gone_is_refused(path: Path, call: str) -> None:
    runner = runner_with_states(path)
    seq = runner.seq_open()
    feed(runner, (seq, 40))
    before = runner.free_pages, runner.free_states
    with pytest.raises(InvalidParameterError, match="the last position before it that is kept is 0"):
        getattr(runner, f"seq_{call}")(seq, 39)
    runner.seq_truncate(seq, 40)
    assert (runner.seq_len(seq), runner.free_pages, runner.free_states) == (40, *before)


def test_a_cancelled_step_gives_its_block_back(path: Path) -> None:
    runner = runner_with_states(path)
    seq = runner.seq_open()
    feed(runner, (seq, 3))
    free = runner.free_states
    runner.cancel()
    with pytest.raises(StepCancelledError):
        feed(runner, (seq, 3))
    assert runner.free_states == free


def test_a_step_without_room_for_its_states_changes_nothing(path: Path) -> None:
    runner = runner_with_states(path, n_active=1, n_saved=1)
    seqs = [runner.seq_open() for _ in range(3)]
    feed(runner, (seqs[0], 40))
    before = runner.free_pages, runner.free_states
    with pytest.raises(KVCacheFullError, match="recurrent states is full: 3 needed, 2 free"):
        feed(runner, *((seq, 1) for seq in seqs))
    assert [runner.seq_len(seq) for seq in seqs] == [40, 0, 0]
    assert (runner.free_pages, runner.free_states) == before


def test_a_checkpoint_shares_the_block_and_gives_it_to_forks(path: Path) -> None:
    runner = runner_with_states(path, n_saved=2)
    seq = runner.seq_open()
    feed(runner, (seq, 40))
    assert runner.seq_checkpoint(seq)
    assert runner.free_states == 9
    feed(runner, (seq, 10))
    assert runner.free_states == 8
    assert [runner.seq_reusable(seq, n) for n in (60, 50, 49, 40, 39)] == [50, 50, 40, 40, 0]
    fork = runner.seq_fork(seq, 40)
    assert (runner.seq_len(fork), runner.free_states) == (40, 8)
    feed(runner, (fork, 1))
    runner.seq_truncate(seq, 40)
    assert (runner.seq_len(seq), runner.free_states) == (40, 8)
    runner.seq_close(seq)
    assert runner.free_states == 8  # the fork holds the checkpoint too
    runner.seq_close(fork)
    assert runner.free_states == 10


def test_checkpoints_give_way_to_a_step_that_needs_their_blocks(path: Path) -> None:
    runner = runner_with_states(path, n_active=1, n_saved=2)
    seqs = [runner.seq_open() for _ in range(2)]
    for _ in range(2):
        feed(runner, (seqs[0], 10))
        runner.seq_checkpoint(seqs[0])
    feed(runner, (seqs[0], 10))
    assert (runner.free_states, runner.seq_reusable(seqs[0], 15)) == (1, 10)
    feed(runner, (seqs[0], 1), (seqs[1], 1))
    assert [runner.seq_reusable(seqs[0], n) for n in (31, 29, 19)] == [31, 20, 0]


@pytest.mark.parametrize("n", [0, -1, 2**28 + 1])
def test_a_state_of_an_impossible_size_is_refused(path: Path, n: int) -> None:
    with pytest.raises(InvalidParameterError, match=f"state of {n} values is out of range"):
        runner_with_states(path, (n,))
