"""The measurements of `oxillama bench`. They use the runner alone, without engine, tokenizer or sampler."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oxillama.core._core import PAGE_TOKENS
from oxillama.models import load_model

if TYPE_CHECKING:
    from oxillama.core._core import Runner


MIN_BATCH = 512  # tokens in a step, as in an engine; more if more sequences decode together


@dataclass(frozen=True, slots=True)
class Point:
    """A point of measurement. threads: None means one per usable core. depth: tokens already in the context."""

    threads: int | None = None
    sequences: int = 1
    depth: int = 0


def star(threads: Sequence[int | None], sequences: Sequence[int], depths: Sequence[int]) -> list[Point]:
    """One curve per list: each of its values, with the first values of the other two lists. Not the whole grid."""
    base = Point(threads[0], sequences[0], depths[0])
    points = [
        base,
        *(replace(base, threads=t) for t in threads),
        *(replace(base, sequences=s) for s in sequences),
        *(replace(base, depth=d) for d in depths),
    ]
    return list(dict.fromkeys(points))


def measure(
    path: Path,
    points: Sequence[Point],
    *,
    processors: Sequence[int] | None = None,
    prompt: int,
    new: int,
    reps: int,
    kv_type: str = "auto",
    progress: Callable[[float], None] | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[dict[str, Any]]:
    """Tokens per second at each point: the medians of `reps` runs after a warm-up run, and all runs.

    processors: what threads are bound to. prompt, new: tokens to prefill and to decode per sequence.
    progress: called with the share of the weights that is
    loaded (0 to 1) while the model is loaded the first time. advance: called with the number of points done.
    """
    results: dict[Point, dict[str, Any]] = {}
    n_ctx = max(p.depth for p in points) + max(prompt, new)
    n_seqs = max(p.sequences for p in points)
    for threads in dict.fromkeys(p.threads for p in points):
        start = time.perf_counter()
        model = load_model(
            path,
            n_threads=threads,
            cpu_affinity=processors,
            n_ctx=n_ctx,
            n_batch=max(MIN_BATCH, n_seqs),
            n_seqs=n_seqs,
            kv_pages=n_seqs * -(-n_ctx // PAGE_TOKENS),
            kv_type=kv_type,
            progress=progress if not results else None,
        )
        load_s = time.perf_counter() - start
        try:
            model.require_logits()
            for point in (p for p in points if p.threads == threads):
                results[point] = {"load_s": load_s, **_measure(model.runner, point, prompt, new, reps)}
                results[point]["reading"] = [asdict(choice) for choice in model.tuned]
                if advance is not None:
                    advance(len(results))
        finally:
            model.close()
    return [results[p] for p in points]


def _measure(runner: Runner, point: Point, prompt: int, new: int, reps: int) -> dict[str, Any]:
    depth, sequences = point.depth, point.sequences
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
        "kv_type": runner.cache_type,
        "kv_bytes_per_token": runner.classes[0][3] // PAGE_TOKENS,
        "prefill_tok_s": statistics.median(prefills),
        "decode_tok_s": statistics.median(decodes),
        "prefill_runs": prefills,
        "decode_runs": decodes,
    }


def _tokens(runner: Runner, n: int) -> npt.NDArray[np.int32]:
    """Arbitrary tokens (n,), the same every time."""
    return np.random.default_rng(n).integers(0, runner.n_vocab, n, dtype=np.int32)


def _append(runner: Runner, seq: int, tokens: npt.NDArray[np.int32]) -> None:
    """Evaluate tokens in steps as large as the runner allows, with logits for the last position only."""
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
    """Seconds for n steps. Each step appends one token to every sequence and computes its logits."""
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
