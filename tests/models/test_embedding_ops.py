"""What models need that give vectors: rows by position, means of runs, and no logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oxillama.errors import InvalidParameterError
from oxillama.models.graph import ops
from oxillama.models.graph.ops import Value
from tests.support.graphs import OpBench


def test_rows_by_position_and_the_first_row(tmp_path: Path) -> None:
    bench = OpBench(tmp_path / "ops.gguf", 40)
    places = bench.matrix("places", 512, 40)
    position, first, both, out = (bench.value(40) for _ in range(4))
    bench.add(ops.Embed(False, position, "places.weight", by="position"))
    bench.add(ops.Embed(False, first, "places.weight", 2.0, by="first"))
    bench.add(ops.Affine(False, position, both, addend=first))
    bench.add(ops.Affine(False, both, out, addend=bench.x))
    tokens = [7, 7, 3, 0, 49]
    want = bench.embedding[tokens] + places[:5] + 2 * places[0]
    np.testing.assert_allclose(bench.run(out, tokens), want, rtol=1e-6, atol=1e-6)


def test_a_table_of_positions_covers_the_context(tmp_path: Path) -> None:
    bench = OpBench(tmp_path / "ops.gguf", 40)
    bench.matrix("places", 511, 40)
    position = bench.value(40)
    bench.add(ops.Embed(False, position, "places.weight", by="position"))
    with pytest.raises(InvalidParameterError, match="511 rows for a context of 512 tokens"):
        bench.run(position, [1])


@pytest.mark.parametrize("n_threads", [1, 3])
def test_means_of_runs_without_logits(tmp_path: Path, n_threads: int) -> None:
    bench = OpBench(tmp_path / "ops.gguf", 40)
    pooled = Value(40, outputs=True).view()
    bench.add(ops.Select(True, bench.x, pooled, mean=True))
    runner = bench.runner(pooled, 64, n_threads=n_threads)
    lengths = [1, 5, 17, 2, 30]
    tokens = np.random.default_rng(1).integers(0, 50, sum(lengths)).astype(np.int32)
    ends = np.cumsum(lengths)
    flags = np.zeros(len(tokens), bool)
    flags[ends - 1] = True
    logits = runner.step(tokens, [runner.seq_open() for _ in lengths], lengths, flags)
    assert logits.shape == (5, 0)
    together = runner.embeddings().copy()
    x = bench.embedding.astype(np.float64)
    for i, (end, n) in enumerate(zip(ends, lengths, strict=True)):
        np.testing.assert_allclose(together[i], x[tokens[end - n : end]].mean(0), rtol=1e-5, atol=1e-6)
        runner.step(tokens[end - n : end], [runner.seq_open()], [n], np.arange(n) == n - 1)
        assert np.array_equal(runner.embeddings()[0], together[i])  # alone: the same bits


def test_closing_a_runner_without_logits_keeps_the_rows_that_were_shown(tmp_path: Path) -> None:
    bench = OpBench(tmp_path / "ops.gguf", 40)
    picked = Value(40, outputs=True).view()
    bench.add(ops.Select(True, bench.x, picked))
    runner = bench.runner(picked, 8)
    runner.step(np.array([3], np.int32), [runner.seq_open()], [1], np.ones(1, bool))
    rows = runner.embeddings()
    runner.close()
    assert np.array_equal(rows[0], bench.embedding[3])
