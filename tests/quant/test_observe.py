"""The sums of an importance matrix equal numpy's, and with them the command quantises a model better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Runner
from oxillama.gguf import GGUFFile
from oxillama.models import describe_model
from oxillama.models.graph import ops
from oxillama.models.tensors import Matrix
from oxillama.quant.chunks import open_for_chunks
from oxillama.quant.importance import read_importance
from oxillama.quant.observe import observe
from tests.support.cli import oxillama
from tests.support.graphs import TOKENS, OpBench
from tests.support.oracles import make_oracle
from tests.support.tiny_models import tiny_model

CHUNKS = [np.arange(1, 41, dtype=np.int32), np.arange(70, 110, dtype=np.int32)]


def tensor(file: GGUFFile, name: str) -> np.ndarray:
    return file.raw(name).view(np.float32).reshape(file.tensors[name].shape[::-1]).astype(np.float64)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_layers_inputs_are_the_normed_embeddings(tmp_path: Path, threads: int) -> None:
    path = tiny_model(tmp_path / "m.gguf", vocab="spm")
    file = GGUFFile(path)
    loaded, _ = open_for_chunks(path, 64, threads)

    sums, counts = observe(loaded.runner, CHUNKS)
    loaded.close()

    x = tensor(file, "token_embd.weight")[np.concatenate(CHUNKS)]
    normed = x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-5) * tensor(file, "blk.0.attn_norm.weight")
    for role in ("attn_q", "attn_k", "attn_v"):
        np.testing.assert_allclose(sums[f"blk.0.{role}.weight"][0], (normed**2).sum(0), rtol=1e-4)
    assert all(seen.tolist() == [80] for seen in counts.values())
    matrices = [name for name, info in file.tensors.items() if len(info.shape) > 1 and name != "token_embd.weight"]
    assert sorted(sums) == sorted(matrices)


def test_threads_and_steps_do_not_change_the_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_model(tmp_path / "m.gguf", vocab="spm")

    def measured(threads: int, batch: int) -> dict[str, np.ndarray]:
        monkeypatch.setattr("oxillama.quant.chunks.N_BATCH", batch)
        loaded, _ = open_for_chunks(path, 64, threads)
        sums, _ = observe(loaded.runner, CHUNKS)
        loaded.close()
        return sums

    want = measured(1, 64)
    for threads, batch in ((3, 64), (2, 7), (2, 1)):
        for name, sums in measured(threads, batch).items():
            np.testing.assert_array_equal(sums, want[name], err_msg=name)


@pytest.mark.parametrize("joined", [False, True])
def test_heads_sum_what_they_multiply(tmp_path: Path, joined: bool) -> None:
    """A tensor with a matrix for every head has sums for each; rows of all heads in one matrix have those of all."""
    bench = OpBench(tmp_path / "ops.gguf")
    bench.matrix("heads", *((16, 40) if joined else (2, 8, 40)))
    out = bench.value(16)
    x = bench.x.part(0, 40) if joined else bench.x.part(0, 80)
    bench.add(ops.HeadLinear(False, x, out, Matrix("heads.weight", 8, 40, 2), shared=joined))

    def steps(runner: Runner) -> Any:
        runner.observe()
        runner.step(np.array(TOKENS, np.int32), [runner.seq_open()], [len(TOKENS)], np.ones(len(TOKENS), bool))
        return runner.observed()["heads.weight"]

    sums, counts = bench.run(out, TOKENS, steps=steps)
    squares = (bench.embedding[TOKENS].astype(np.float64) ** 2).sum(0)
    want = 2 * squares[None, :40] if joined else squares[:80].reshape(2, 40)
    np.testing.assert_allclose(sums, want, rtol=1e-6)
    assert counts.tolist() == ([2 * len(TOKENS)] if joined else [len(TOKENS)] * 2)


def test_each_expert_sums_the_rows_it_was_given(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.gguf", vocab="spm", n_expert=4, n_expert_used=2)
    loaded, _ = open_for_chunks(path, 64, 2)

    sums, counts = observe(loaded.runner, CHUNKS)
    loaded.close()

    gate, up, down = (f"blk.0.ffn_{part}_exps.weight" for part in ("gate", "up", "down"))
    assert counts[gate].sum() == 2 * 80
    for name in (up, down):
        np.testing.assert_array_equal(counts[name], counts[gate])
    np.testing.assert_array_equal(sums[up], sums[gate])
    # The router sees every row once, the experts every row twice.
    np.testing.assert_allclose(sums[gate].sum(0), 2 * sums["blk.0.ffn_gate_inp.weight"][0], rtol=1e-6)
    assert (sums[down].sum(1) > 0).tolist() == (counts[down] > 0).tolist()


def test_nothing_is_summed_unless_asked_for(tmp_path: Path) -> None:
    loaded, _ = open_for_chunks(tiny_model(tmp_path / "m.gguf", vocab="spm"), 64, 1)

    assert loaded.runner.observed() == {}
    loaded.close()


def test_an_encoder_reads_a_chunk_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tokens see later ones, so a chunk cannot be cut as a causal model's is."""
    monkeypatch.setattr("oxillama.quant.chunks.N_BATCH", 16)
    monkeypatch.setattr("oxillama.quant.chunks.Tokenizer.from_gguf", lambda _: None)  # the model has no vocabulary
    path = make_oracle("bert", tmp_path / "m.gguf")
    loaded, _ = open_for_chunks(path, 40, 1)

    sums, counts = observe(loaded.runner, CHUNKS)
    loaded.close()

    layers = describe_model(GGUFFile(path)).layers
    assert {f"blk.{layer}.attn_output.weight" for layer in range(layers)} <= sums.keys()
    assert all(seen.tolist() == [80] for seen in counts.values())


def test_quantize_reads_the_file_that_the_command_writes(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.gguf", vocab="spm", n_embd=256, n_ff=256, head_dim=64)
    text = tmp_path / "text.txt"
    text.write_text("once upon a time the little dog and the big cat had a red sun day " * 8)

    done = oxillama("imatrix", "-m", model, "-f", text, "-o", tmp_path / "i.gguf", "--ctx", "32", "--chunks", "3")

    assert done.returncode == 0, done.stderr
    assert done.stdout == b"i.gguf: 15 matrices, 3 chunks of 32 tokens\n"
    found = read_importance(tmp_path / "i.gguf")
    assert found.datasets == ["text.txt"]
    assert found.n_chunks == 3
    quantised = oxillama("quantize", model, tmp_path / "q.gguf", "IQ2_XXS", "--imatrix", tmp_path / "i.gguf")
    assert quantised.returncode == 0
    assert quantised.stderr == b""  # no warning: nothing is rounded blindly
    assert GGUFFile(tmp_path / "q.gguf").metadata["quantize.imatrix.entries_count"] == 15
