"""Logits of every architecture against another engine's, on every isa, however the sequence is cut up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.models import LoadedModel, load_model
from tests.support.isas import isas, run_on
from tests.support.oracles import columns, expected, expected_long, make_oracle, nmse
from tests.support.shared import shared

ARCHITECTURES = [
    *("llama", "llama-moe", "mistral3", "qwen2", "qwen3", "smollm3", "smollm3-real"),
    *("gemma2", "gemma2-real", "gemma2-27b", "gemma3", "gemma3-real", "gemma3-27b"),
    *("gemma4", "gemma4-31b", "gemma4-moe"),
    *("gpt-oss-moe", "gpt-oss-real", "qwen3moe-moe", "qwen3moe-real"),
    *("lfm2", "lfm2-real", "lfm2moe-moe", "lfm2moe-real"),
    *("qwen35", "qwen35-mtp", "qwen35moe-moe", "qwen35moe-mtp", "qwen3next-moe", "qwen3next-mtp"),
    *("deepseek2-moe", "deepseek2-v3", "deepseek2-lite", "deepseek2-mha", "deepseek2-glm47flash"),
    *("deepseek2-mistral", "deepseek2-ocr"),
    *("llama4-moe-x", "mistral4-moe-x", "kimi-linear-moe-x", "rwkv7"),
]
SHORT = {
    "llama",
    "llama-moe",
    "mistral3",
    "qwen2",
    "qwen3",
    "smollm3",
    "gemma2",
    "gemma3",
    "gpt-oss-moe",
    "qwen3moe-moe",
    "lfm2",
    "lfm2moe-moe",
    "qwen35",
    "qwen35moe-moe",
    "qwen3next-moe",
    "deepseek2-moe",
    "mistral4-moe-x",
}
"""Those without expected logits of a long sequence."""
BOUND = 1e-6
Oracle = tuple[LoadedModel, Any, Any]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def oracle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """(architecture, loaded model, tokens, expected logits)."""
    path = make_oracle(request.param, tmp_path_factory.mktemp("oracle") / "model.gguf")
    model = load_model(path, n_threads=2, n_ctx=512, kv_pages=64)
    yield model, *expected(request.param)
    model.close()


def evaluate(model: LoadedModel, tokens: np.ndarray, chunk: int) -> np.ndarray:
    """Logits of every position of a fresh sequence, `chunk` tokens a step."""
    seq = model.runner.seq_open()
    rows = []
    for at in range(0, len(tokens), chunk):
        part = tokens[at : at + chunk]
        rows.append(model.runner.step(part, [seq], [len(part)], np.ones(len(part), bool)).copy())
    model.runner.seq_close(seq)
    return np.concatenate(rows)


@pytest.mark.parametrize("chunk", [48, 7, 1])
def test_logits_equal_the_oracle_in_one_call_in_chunks_and_token_by_token(oracle: Oracle, chunk: int) -> None:
    model, tokens, logits = oracle
    assert nmse(evaluate(model, tokens, chunk), logits) <= BOUND


def test_how_a_sequence_is_cut_up_changes_no_bit(oracle: Oracle) -> None:
    model, tokens, _ = oracle
    whole = evaluate(model, tokens, 48)
    assert np.array_equal(whole, evaluate(model, tokens, 7))
    assert np.array_equal(whole, evaluate(model, tokens, 1))


def among_others(model: LoadedModel, tokens: np.ndarray) -> np.ndarray:
    """Logits of every position of a sequence of 48 that grows by 5 while others decode, prefill and stand still."""
    runner = model.runner
    others = [runner.seq_open() for _ in range(3)]
    seq = runner.seq_open()
    rows = []
    for at in range(0, 48, 5):
        part = tokens[at : at + 5]
        batch = np.concatenate([tokens[:1], part, tokens[at : at + 3], tokens[10:21]])
        flags = np.zeros(len(batch), bool)
        flags[1 : 1 + len(part)] = True
        counts = [1, len(part), len(tokens[at : at + 3]), 11]
        rows.append(runner.step(batch, [others[0], seq, others[1], others[2]], counts, flags).copy())
    for s in (*others, seq):
        runner.seq_close(s)
    return np.concatenate(rows)


def test_other_sequences_in_the_batch_change_no_bit(oracle: Oracle) -> None:
    model, tokens, logits = oracle
    alone = evaluate(model, tokens, 48)
    together = among_others(model, tokens)
    assert nmse(together, logits) <= BOUND
    assert np.array_equal(together, alone)


def test_only_flagged_positions_come_back_and_they_are_the_same(oracle: Oracle) -> None:
    model, tokens, _ = oracle
    whole = evaluate(model, tokens, 48)
    flags = np.zeros(48, bool)
    flags[[3, 17, 47]] = True
    seq = model.runner.seq_open()
    some = model.runner.step(tokens, [seq], [48], flags).copy()
    assert model.runner.embeddings().shape == (3, model.hparams.n_embd)
    model.runner.seq_close(seq)
    assert np.array_equal(some, whole[flags])


def evaluate_at(model: LoadedModel, tokens: np.ndarray, positions: np.ndarray, chunk: int) -> np.ndarray:
    """Logits of some positions of a fresh sequence, `chunk` tokens a step."""
    wanted = np.zeros(len(tokens), bool)
    wanted[positions] = True
    seq = model.runner.seq_open()
    rows = []
    for at in range(0, len(tokens), chunk):
        part = tokens[at : at + chunk]
        rows.append(model.runner.step(part, [seq], [len(part)], wanted[at : at + chunk]).copy())
    model.runner.seq_close(seq)
    return np.concatenate(rows)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in SHORT])
def test_a_long_sequence_gives_the_oracle_logits_however_it_is_cut_up(name: str, tmp_path: Path) -> None:
    """Longer than any window, and than the context before its rotations were stretched."""
    tokens, positions, logits = expected_long(name)
    model = load_model(make_oracle(name, tmp_path / "m.gguf"), n_threads=2, n_ctx=512)
    whole = evaluate_at(model, tokens, positions, len(tokens))
    assert nmse(whole, logits) <= BOUND
    assert np.array_equal(whole, evaluate_at(model, tokens, positions, 37))
    model.close()


@pytest.mark.slow
def test_a_model_known_only_by_its_size_gives_the_oracle_logits(tmp_path: Path) -> None:
    """GLM-4.7-Flash does not state that its gating is a sigmoid. Some columns of the logits are kept."""
    name = "deepseek2-glm47flash-nogate"
    model = load_model(make_oracle(name, tmp_path / "m.gguf"), n_threads=2, n_ctx=512)
    tokens, logits = expected(name)
    whole = evaluate(model, tokens, 48)
    assert nmse(whole[:, columns(name)], logits) <= BOUND
    assert np.array_equal(whole, evaluate(model, tokens, 7))
    tokens, positions, logits = expected_long(name)
    assert nmse(evaluate_at(model, tokens, positions, len(tokens))[:, columns(name)], logits) <= BOUND
    model.close()


CHECK = """
import sys, numpy as np
from pathlib import Path
from oxillama.core._core import isa
from oxillama.models import load_model
from tests.models.test_oracles import evaluate, evaluate_at
from tests.support.oracles import columns, expected, expected_long, has_long, nmse
assert isa() == sys.argv[1], isa()
for name in sys.argv[3:]:
    model = load_model(Path(sys.argv[2]) / f"{name}.gguf", n_threads=2, n_ctx=512 if has_long(name) else 128)
    tokens, logits = expected(name)
    whole = evaluate(model, tokens, 48)
    error = nmse(whole[:, columns(name)], logits)
    assert error <= 1e-6, f"{name}: {error}"
    for chunk in (7, 1):
        assert np.array_equal(whole, evaluate(model, tokens, chunk)), f"{name}: chunks of {chunk} differ"
    if has_long(name):
        tokens, positions, logits = expected_long(name)
        error = nmse(evaluate_at(model, tokens, positions, 100)[:, columns(name)], logits)
        assert error <= 1e-6, f"{name}, a long sequence: {error}"
    model.close()
"""


@pytest.fixture(scope="module")
def oracle_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("oracles")
    for name in ARCHITECTURES:
        make_oracle(name, folder / f"{name}.gguf")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("isa", isas())
def test_every_isa_gives_the_oracle_logits(isa: str, oracle_files: Path) -> None:
    run_on(isa, CHECK, oracle_files, *ARCHITECTURES)


def test_a_trained_model_gives_the_logits_of_another_engine() -> None:
    with np.load(shared("models/stories260K.npz")) as data:
        tokens, logits = data["tokens"].astype(np.int32), data["logits"]
    model = load_model(shared("models/stories260K.gguf"), n_threads=2)
    assert nmse(evaluate(model, tokens, 48), logits) <= BOUND
