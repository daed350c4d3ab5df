"""The measurements behind `oxillama bench`: the runner alone, without engine, tokenizer or sampler."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oxillama.core._core import PAGE_TOKENS
from oxillama.models import load_model

if TYPE_CHECKING:
    from oxillama.core._core import Runner


def measure(
    path: Path,
    *,
    n_threads: int | None,
    prompt: int,
    new: int,
    depth: int,
    sequences: int,
    reps: int,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Tokens per second: medians over `reps` runs after one that warms up, and the runs themselves."""
    start = time.perf_counter()
    n_ctx = depth + max(prompt, new)
    model = load_model(
        path,
        n_threads=n_threads,
        n_ctx=n_ctx,
        n_seqs=sequences,
        kv_pages=sequences * -(-n_ctx // PAGE_TOKENS),
        progress=progress,
    )
    load_s = time.perf_counter() - start
    runner = model.runner
    try:
        _prefill(runner, min(prompt, runner.n_batch), depth=0)
        _decode(runner, 1, depth=0, sequences=sequences)
        prefills = [prompt / _prefill(runner, prompt, depth) for _ in range(reps)]
        decodes = [new * sequences / _decode(runner, new, depth, sequences) for _ in range(reps)]
        return {
            "threads": runner.n_threads,
            "prompt": prompt,
            "new": new,
            "depth": depth,
            "sequences": sequences,
            "reps": reps,
            "load_s": load_s,
            "prefill_tok_s": statistics.median(prefills),
            "decode_tok_s": statistics.median(decodes),
            "prefill_runs": prefills,
            "decode_runs": decodes,
        }
    finally:
        runner.close()


def _tokens(runner: Runner, n: int) -> npt.NDArray[np.int32]:
    """The same arbitrary tokens every time."""
    return np.random.default_rng(n).integers(0, runner.n_vocab, n, dtype=np.int32)


def _append(runner: Runner, seq: int, tokens: npt.NDArray[np.int32]) -> None:
    """Evaluate tokens in steps as large as the runner takes, asking for the last position's logits."""
    for at in range(0, len(tokens), runner.n_batch):
        piece = tokens[at : at + runner.n_batch]
        wanted = np.zeros(len(piece), np.bool_)
        wanted[-1] = at + len(piece) == len(tokens)
        runner.step(piece, [seq], [len(piece)], wanted)


def _prefill(runner: Runner, n: int, depth: int) -> float:
    """Seconds to append n tokens to a sequence of `depth` tokens."""
    seq = runner.seq_open()
    try:
        if depth:
            _append(runner, seq, _tokens(runner, depth))
        tokens = _tokens(runner, n)
        start = time.perf_counter()
        _append(runner, seq, tokens)
        return time.perf_counter() - start
    finally:
        runner.seq_close(seq)


def _decode(runner: Runner, n: int, depth: int, sequences: int) -> float:
    """Seconds for n steps, each of which appends one token to every sequence and gives its logits."""
    seqs: Sequence[int] = [runner.seq_open() for _ in range(sequences)]
    try:
        if depth:
            for seq in seqs:
                _append(runner, seq, _tokens(runner, depth))
        tokens = _tokens(runner, n * sequences).reshape(n, sequences)
        counts, wanted = [1] * sequences, np.ones(sequences, np.bool_)
        start = time.perf_counter()
        for row in tokens:
            runner.step(row, seqs, counts, wanted)
        return time.perf_counter() - start
    finally:
        for seq in seqs:
            runner.seq_close(seq)
