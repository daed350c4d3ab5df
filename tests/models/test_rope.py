"""RoPE frequencies for every kind of scaling, and models that use the scaling of their files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.errors import ModelFormatError
from oxillama.gguf import GGUFFile
from oxillama.models import describe_model, load_model
from oxillama.models.params.rope import RopeScaling, frequencies, magnitude
from tests.support.oracles import nmse
from tests.support.tiny_models import TinyModel

N_ROT = 16
PLAIN = 10000.0 ** (-2 * np.arange(N_ROT // 2) / N_ROT)
TOKENS = (np.arange(100) * 7 % 128).astype(np.int32)


def scaled(**options: Any) -> RopeScaling:
    return RopeScaling(**options)


def test_without_scaling_the_frequencies_fall_geometrically() -> None:
    for scaling in (scaled(), scaled(kind="none", factor=4.0), scaled(kind="linear")):
        np.testing.assert_allclose(frequencies(scaling, N_ROT), PLAIN, rtol=1e-7)
        assert magnitude(scaling) == 1.0


def test_linear_scaling_divides_them() -> None:
    np.testing.assert_allclose(frequencies(scaled(kind="linear", factor=4.0), N_ROT), PLAIN / 4, rtol=1e-7)


def test_the_files_own_factors_divide_them_one_by_one() -> None:
    factors = np.linspace(1, 8, N_ROT // 2, dtype=np.float32)
    np.testing.assert_allclose(frequencies(scaled(), N_ROT, factors), PLAIN / factors, rtol=1e-6)


def test_yarn_keeps_quick_pairs_and_divides_slow_ones() -> None:
    scaling = scaled(kind="yarn", factor=4.0, original_ctx=64, beta_fast=4.0, beta_slow=0.5)
    turns = 64 * PLAIN / (2 * math.pi)
    got = frequencies(scaling, N_ROT) / PLAIN
    assert np.all(np.diff(got) <= 1e-7)
    np.testing.assert_allclose(got[turns > 5], 1.0, rtol=1e-6)
    np.testing.assert_allclose(got[turns < 0.1], 0.25, rtol=1e-6)
    assert np.any((got > 0.26) & (got < 0.99))


def test_yarn_sharpens_attention_with_the_factor() -> None:
    assert magnitude(scaled(kind="yarn", factor=4.0, original_ctx=64)) == pytest.approx(0.1 * math.log(4) + 1)
    assert magnitude(scaled(kind="yarn", factor=4.0, original_ctx=64, attention_factor=2.0)) == pytest.approx(
        2 * (0.1 * math.log(4) + 1)
    )
    assert magnitude(scaled(kind="yarn", factor=4.0, original_ctx=64, log_multiplier=1.0)) == pytest.approx(1.0)
    assert magnitude(scaled(kind="yarn", factor=0.5, original_ctx=64)) == 1.0


def logits(path: Path, arch: str = "llama", n_ctx: int = 256, vectors: Any = None, **keys: Any) -> Any:
    model = TinyModel(arch)
    for key, value in keys.items():
        model.metadata[f"{arch}.{key.replace('__', '.')}"] = value
    for name, values in (vectors or {}).items():
        model.tensors[name] = np.asarray(values, np.float32)
    runner = load_model(model.write(path / "m.gguf"), n_threads=2, n_ctx=n_ctx).runner
    seq = runner.seq_open()
    return runner.step(TOKENS, [seq], [len(TOKENS)], np.ones(len(TOKENS), bool)).copy()


def test_a_model_scales_its_positions_by_the_metadata(tmp_path: Path) -> None:
    plain = logits(tmp_path)
    linear = logits(tmp_path, rope__scaling__type="linear", rope__scaling__factor=4.0)
    assert nmse(linear, plain) > 1e-3
    assert np.array_equal(logits(tmp_path, rope__scale_linear=4.0), linear)
    assert np.array_equal(logits(tmp_path, rope__scaling__type="none", rope__scaling__factor=4.0), plain)
    by_factors = logits(tmp_path, vectors={"rope_freqs.weight": np.full(N_ROT // 2, 4.0)})
    assert nmse(by_factors, linear) < 1e-10
    yarn: dict[str, Any] = {"rope__scaling__type": "yarn", "rope__scaling__original_context_length": 64}
    assert np.array_equal(logits(tmp_path, **yarn), plain)
    assert nmse(logits(tmp_path, **yarn, rope__scaling__factor=4.0), plain) > 1e-3


def test_longrope_has_factors_for_short_and_for_long_contexts(tmp_path: Path) -> None:
    long, short = np.linspace(2, 9, N_ROT // 2), np.linspace(1, 3, N_ROT // 2)
    vectors = {"rope_factors_long.weight": long, "rope_factors_short.weight": short}
    keys: dict[str, Any] = {"rope__scaling__type": "longrope", "rope__scaling__original_context_length": 128}
    for n_ctx, factors in ((128, short), (129, long)):
        got = logits(tmp_path, n_ctx=n_ctx, vectors=vectors, **keys)
        assert np.array_equal(got, logits(tmp_path, vectors={"rope_freqs.weight": factors}))


def test_mistral3_sharpens_queries_beyond_the_original_context(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"rope__scaling__original_context_length": 32}
    plain = logits(tmp_path, "mistral3", **keys)
    sharp = logits(tmp_path, "mistral3", attention__temperature_scale=0.5, **keys)
    assert np.array_equal(plain[:32], sharp[:32])
    assert nmse(sharp[32:], plain[32:]) > 1e-4
    assert np.array_equal(logits(tmp_path, "llama", attention__temperature_scale=0.5, **keys), plain)


def test_mistral3_tunes_yarn_and_llama_does_not(tmp_path: Path) -> None:
    yarn: dict[str, Any] = {
        "rope__scaling__type": "yarn",
        "rope__scaling__factor": 4.0,
        "rope__scaling__original_context_length": 64,
        "rope__scaling__yarn_beta_fast": 4.0,
        "rope__scaling__yarn_log_multiplier": 0.7,
    }
    assert nmse(logits(tmp_path, "mistral3", **yarn), logits(tmp_path, "llama", **yarn)) > 1e-4


def test_the_two_layouts_of_pairs_differ(tmp_path: Path) -> None:
    assert nmse(logits(tmp_path, "qwen2", vectors=no_biases()), logits(tmp_path)) > 1e-3


def no_biases() -> Any:
    model = TinyModel("qwen2")
    return {name: np.zeros_like(array) for name, array in model.tensors.items() if name.endswith(".bias")}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor", [0.0, np.nan, 1e-45])
def test_factors_that_leave_no_finite_frequency_are_refused_when_the_model_is_described(
    tmp_path: Path, factor: float
) -> None:
    model = TinyModel()
    model.tensors["rope_freqs.weight"] = np.array([1, 1, factor, 1, 1, 1, 1, 1], np.float32)
    path = model.write(tmp_path / "m.gguf")
    for read in (load_model, lambda path: describe_model(GGUFFile(path))):
        with pytest.raises(ModelFormatError, match=r"rope frequency 2, divided by its factor .* not a finite"):
            read(path)


@pytest.mark.parametrize(
    ("keys", "scaling", "factor"),
    [
        ({}, "none", 1.0),
        ({"rope.scaling.type": "linear"}, "none", 1.0),
        ({"rope.scaling.type": "none", "rope.scaling.factor": 4.0}, "none", 4.0),
        ({"rope.scaling.factor": 4.0}, "linear", 4.0),
        ({"rope.scale_linear": 4.0}, "linear", 4.0),
        ({"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}, "yarn", 4.0),
    ],
)
def test_a_description_names_the_rope_scaling(
    tmp_path: Path, keys: dict[str, Any], scaling: str, factor: float
) -> None:
    model = TinyModel()
    model.metadata |= {f"llama.{key}": value for key, value in keys.items()}
    described = describe_model(GGUFFile(model.write(tmp_path / "m.gguf")))
    assert (described.rope_scaling, described.rope_factor) == (scaling, factor)
