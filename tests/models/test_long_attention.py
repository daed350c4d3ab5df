"""Attention over several blocks of keys equals the formula, and no division of the work changes a bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Runner
from oxillama.models.graph import ops
from tests.support.formulas import TOLERANCE, Floats, asked, attention, close, stored
from tests.support.graphs import N_VOCAB, OpBench, vector

BLOCK = 512  # keys whose scores are softmaxed together
N_HEAD, KEY_DIM, VALUE_DIM = 4, 10, 20
ALL = {
    "window": BLOCK + 33,
    "softcap": 2.0,
    "slopes": np.array([0.01, 0.002, 0.0, 0.03]),
    "sinks": np.array([-1.0, 0.0, 3.0, -30.0]),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "window": {"window": 70},
    "wide window": {"window": BLOCK + 33},
    "all": ALL,
}
LENGTHS = [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 70]


class Attention:
    """One attention op over random tokens, evaluated in any steps."""

    def __init__(self, path: Path, n_tokens: int, n_kv: int = 2, **options: Any) -> None:
        self.path, self.n_kv, self.options = path, n_kv, options
        self.tokens = np.random.default_rng(n_tokens).integers(0, N_VOCAB, n_tokens).astype(np.int32)
        self.poison: int | None = None  # a token whose embedding is NaN

    def run(self, cuts: list[int], *, n_threads: int = 2, n_seqs: int = 1, cache_type: str = "f16") -> Floats:
        """Rows [n_seqs, n_tokens, width] of sequences that all hold the tokens, in steps that end at `cuts`."""
        bench = OpBench(self.path, spread=2.0)
        if self.poison is not None:
            bench.embedding[self.poison] = np.nan
        rows = {"q": N_HEAD * KEY_DIM, "k": self.n_kv * KEY_DIM, "v": self.n_kv * VALUE_DIM}
        for name, n in rows.items():
            bench.matrix(name, n, bench.x.width)
        q, k, v = (bench.linear(bench.x, name) for name in rows)
        cache, out = ops.CacheLayer(self.n_kv, KEY_DIM, VALUE_DIM), bench.value(N_HEAD * VALUE_DIM)
        bench.add(ops.KVStore(False, k, v, cache))
        options: dict[str, Any]
        options = {name: vector(o) if name in ("slopes", "sinks") else o for name, o in self.options.items()}
        bench.add(ops.Attention(False, q, out, cache, N_HEAD, 0.4, **options))
        x = bench.embedding[self.tokens].astype(np.float64)
        self.dense = [x @ bench.model.tensors[f"{name}.weight"].T.astype(np.float64) for name in rows]

        def steps(runner: Runner) -> Floats:
            seqs, parts = [runner.seq_open() for _ in range(n_seqs)], []
            for start, end in zip([0, *cuts], [*cuts, len(self.tokens)], strict=True):
                part, n = self.tokens[start:end], end - start
                runner.step(np.tile(part, n_seqs), seqs, [n] * n_seqs, np.ones(n * n_seqs, bool))
                parts.append(runner.embeddings().reshape(n_seqs, n, -1).copy())
            return np.concatenate(parts, axis=1)

        # The runner takes batches of as many tokens as are named here.
        tokens = np.tile(self.tokens, n_seqs).tolist()
        return bench.run(out, tokens, steps=steps, n_threads=n_threads, cache_type=cache_type)

    def formula(self, cache_type: str = "f32") -> Floats:
        q, k, v = self.dense
        k, v = stored(k, self.n_kv, cache_type), stored(v, self.n_kv, cache_type, value=True)
        return attention(asked(q, N_HEAD, cache_type), k, v, N_HEAD, self.n_kv, scale=0.4, **self.options)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("cache_type", ["f32", "f16", "i16", "q8_0"])
def test_several_blocks_of_keys_equal_the_formula(tmp_path: Path, name: str, cache_type: str) -> None:
    op = Attention(tmp_path / "a.gguf", 2 * BLOCK + 70, **OPTIONS[name])
    decoded = [*range(2 * BLOCK - 2, 2 * BLOCK + 3), 2 * BLOCK + 69]
    got = op.run(decoded, cache_type=cache_type)[0]
    close(got, op.formula(cache_type), 2 * TOLERANCE[cache_type])


@pytest.mark.parametrize(
    ("n_kv", "cache_type"), [(1, "f16"), (2, "f16"), (4, "f16"), (1, "i16"), (4, "i16"), (2, "q8_0")]
)
@pytest.mark.parametrize("n_tokens", LENGTHS)
def test_cutting_a_long_context_changes_no_bit(tmp_path: Path, n_tokens: int, n_kv: int, cache_type: str) -> None:
    op = Attention(tmp_path / "a.gguf", n_tokens, n_kv)
    whole = op.run([], cache_type=cache_type)
    chunks = op.run(list(range(100, n_tokens - 2, 100)), cache_type=cache_type)
    decoded = op.run(list(range(n_tokens - 9, n_tokens)), cache_type=cache_type)
    assert np.array_equal(whole, chunks)
    assert np.array_equal(whole, decoded)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize(("n_threads", "cache_type"), [(2, "f16"), (3, "i16"), (5, "f16"), (5, "q8_0")])
def test_threads_that_share_a_long_row_change_no_bit(
    tmp_path: Path, name: str, n_threads: int, cache_type: str
) -> None:
    """One thread processes all keys of a row; several threads process blocks of keys and combine their sums."""
    op = Attention(tmp_path / "a.gguf", 2 * BLOCK + 70, **OPTIONS[name])
    decoded = list(range(2 * BLOCK - 3, 2 * BLOCK + 3))
    alone = op.run(decoded, n_threads=1, cache_type=cache_type)
    assert np.array_equal(alone, op.run(decoded, n_threads=n_threads, cache_type=cache_type))


@pytest.mark.parametrize(("n_seqs", "n_threads"), [(2, 3), (9, 3), (15, 2), (16, 2)])
def test_sequences_decoded_together_over_blocks_change_no_bit(tmp_path: Path, n_seqs: int, n_threads: int) -> None:
    """Two threads process rows of up to 15 sequences in blocks of keys, and whole rows of 16."""
    op = Attention(tmp_path / "a.gguf", BLOCK + 5, 1)
    cuts = [200, 400, *range(BLOCK - 2, BLOCK + 5)]
    alone = op.run(cuts)
    together = op.run(cuts, n_seqs=n_seqs, n_threads=n_threads)
    assert all(np.array_equal(row, alone[0]) for row in together)


@pytest.mark.parametrize("window", [0, 70])
@pytest.mark.parametrize("cache_type", ["f32", "f16", "i16", "q8_0"])
def test_nan_reaches_only_the_tokens_that_attend_to_it(
    tmp_path: Path, cache_type: str, window: int
) -> None:
    op = Attention(tmp_path / "a.gguf", BLOCK + 140, window=window)
    at, op.poison = BLOCK + 20, 7
    op.tokens[op.tokens == op.poison] = 8
    clean = op.run([], cache_type=cache_type)[0]
    op.tokens[at] = op.poison
    seen = np.zeros(len(clean), bool)
    seen[at : at + window if window else None] = True
    whole = op.run([], cache_type=cache_type)[0]
    assert np.array_equal(whole[~seen], clean[~seen])
    assert np.isnan(whole[seen]).all()
    cut = op.run([at - 1, at + 1, at + 2], cache_type=cache_type)[0]
    assert np.array_equal(cut, whole, equal_nan=True)
