"""Perplexity equals numpy's on a tiny model, and invalid inputs are refused."""

from __future__ import annotations

import json
from math import exp, log, sqrt
from pathlib import Path

import numpy as np
import pytest

from oxillama import Model, Tokenizer
from oxillama.errors import InvalidParameterError
from oxillama.quant.chunks import open_for_chunks, read_chunks
from oxillama.quant.perplexity import Estimate, losses, measure
from tests.support.cli import oxillama
from tests.support.shared import shared
from tests.support.tiny_models import tiny_model

TEXT = "once upon a time the little dog and the big cat had a red sun day " * 12


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "m.gguf", vocab="spm")


def by_numpy(path: Path, size: int) -> tuple[float, float, int]:
    """Perplexity, its standard error and its number of tokens, from the logits of every position."""
    tokenizer = Tokenizer.from_gguf(path)
    ids = tokenizer.encode(TEXT)
    assert tokenizer.bos_id is not None
    found: list[float] = []
    with Model(path, n_threads=1) as model:
        for start in range(0, len(ids) - size + 1, size):
            chunk = [tokenizer.bos_id, *ids[start + 1 : start + size]]
            logits = model.logits(chunk).astype(np.float64)
            p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            found += [-log(p[i, chunk[i + 1]]) for i in range(size // 2, size - 1)]
    perplexity = exp(np.mean(found))
    return perplexity, perplexity * float(np.std(found)) / sqrt(len(found) - 1), len(found)


@pytest.mark.parametrize("size", [16, 33, 200])
def test_the_estimate_equals_numpys(model: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("oxillama.quant.chunks.N_BATCH", 24)  # several steps in the longer chunks
    want, error, n = by_numpy(model, size)

    loaded, tokenizer = open_for_chunks(model, size, 1)
    *_, estimate = measure(loaded.runner, read_chunks(tokenizer, TEXT, size))
    loaded.close()

    assert estimate.tokens == n
    assert estimate.perplexity == pytest.approx(want, rel=1e-5)
    assert estimate.standard_error == pytest.approx(error, rel=1e-4)


def test_the_perplexity_of_a_uniform_model_is_its_number_of_tokens() -> None:
    loss = losses(np.full((5, 64), -3.0, np.float32), np.arange(5, dtype=np.int32))

    np.testing.assert_allclose(np.exp(loss), 64)
    assert Estimate(1, 5, float(loss.sum()), float((loss**2).sum())).standard_error == pytest.approx(0, abs=1e-6)


def test_large_logits_do_not_overflow() -> None:
    assert losses(np.array([[5000.0, 0.0]], np.float32), np.array([1], np.int32))[0] == 5000


def test_every_chunk_begins_with_bos_and_the_rest_is_left_out(model: Path) -> None:
    tokenizer = Tokenizer.from_gguf(model)
    ids = tokenizer.encode(TEXT)

    chunks = read_chunks(tokenizer, TEXT, 50)

    assert len(chunks) == len(ids) // 50
    assert all(chunk[0] == tokenizer.bos_id for chunk in chunks)
    assert chunks[1][1:].tolist() == ids[51:100]
    assert len(read_chunks(tokenizer, TEXT, 50, 2)) == 2


def test_a_text_shorter_than_a_chunk_and_a_chunk_longer_than_the_context_are_refused(model: Path) -> None:
    with pytest.raises(InvalidParameterError, match=r"the text has \d+ tokens, less than one chunk of 500"):
        read_chunks(Tokenizer.from_gguf(model), "once upon a time", 500)
    with pytest.raises(InvalidParameterError, match="--ctx 300 is more than the 256 tokens"):
        open_for_chunks(model, 300, 1)


def test_the_command_prints_running_values_and_json(model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)

    plain = oxillama("perplexity", "--model", model, "--file", text, "--ctx", "32", "--chunks", "3")
    report = json.loads(
        oxillama("perplexity", "--model", model, "--file", text, "--ctx", "32", "--chunks", "3", "--json").stdout
    )

    lines = plain.stdout.decode().splitlines()
    assert lines[0].startswith("[1/3] ")
    assert lines[-1] == f"perplexity {report['perplexity']:.4f} +/- {report['standard_error']:.4f}, 45 tokens"
    piped = oxillama("perplexity", "--model", model, "--file", "-", "--ctx", 32, "--chunks", 3, stdin=text.read_bytes())
    assert piped.stdout == plain.stdout
    assert report["chunks"] == 3


def test_a_missing_text_is_reported_in_one_line(model: Path, tmp_path: Path) -> None:
    done = oxillama("perplexity", "--model", model, "--file", tmp_path / "none.txt")

    assert done.returncode == 1
    assert b"none.txt: No such file or directory" in done.stderr


def test_a_trained_model_predicts_its_own_text_as_well_when_quantised(tmp_path: Path) -> None:
    source = shared("models/stories260K.gguf")
    text = (
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she "
        "saw a big, red ball. She wanted to play with it, but it was too high. Her mom said, let's go to the park. "
        "Lily was sad and didn't know what to do. She said, I want to play with your ball, but I can't find it. "
    )
    assert oxillama("quantize", source, tmp_path / "q8.gguf", "Q8_0").returncode == 0

    def perplexity(path: Path) -> float:
        loaded, tokenizer = open_for_chunks(path, 64, 1)
        *_, estimate = measure(loaded.runner, read_chunks(tokenizer, text, 64))
        loaded.close()
        return estimate.perplexity

    assert perplexity(source) < 5
    assert perplexity(tmp_path / "q8.gguf") == pytest.approx(perplexity(source), rel=0.02)
