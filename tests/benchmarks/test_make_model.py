"""Models made for benchmarks are valid GGUF files with finite weights of a realistic size."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from tests.support.models import make_model
from tests.support.shared import shared


def reader(path: Path) -> gguf.GGUFReader:
    return gguf.GGUFReader(path)


@pytest.mark.parametrize("mix", ["F16", "Q4_0", "Q8_0", "Q4_K_M"])
def test_every_weight_is_finite_and_of_a_networks_size(mix: str, tmp_path: Path) -> None:
    for tensor in reader(make_model(tmp_path / "m.gguf", mix=mix)).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)

        assert np.isfinite(values).all(), tensor.name
        assert values.size == np.prod(tensor.shape)
        if not tensor.name.endswith("norm.weight"):
            assert 0.015 < values.std() < 0.025, tensor.name


def test_a_mix_gives_the_sensitive_tensors_more_bits(tmp_path: Path) -> None:
    types = {t.name: t.tensor_type.name for t in reader(make_model(tmp_path / "m.gguf", mix="Q4_K_M")).tensors}

    assert types["output.weight"] == "Q6_K"
    assert types["blk.1.attn_v.weight"] == types["blk.1.ffn_down.weight"] == "Q6_K"
    assert types["blk.0.attn_v.weight"] == types["blk.0.attn_q.weight"] == types["token_embd.weight"] == "Q4_K"
    assert types["blk.0.attn_norm.weight"] == "F32"


def test_a_q4_0_file_has_a_q6_k_output(tmp_path: Path) -> None:
    types = {t.name: t.tensor_type.name for t in reader(make_model(tmp_path / "m.gguf", mix="Q4_0")).tensors}

    assert types.pop("output.weight") == "Q6_K"
    assert set(types.values()) == {"F32", "Q4_0"}


@pytest.mark.slow
def test_a_real_vocabulary_is_copied_key_by_key(tmp_path: Path) -> None:
    real = shared("tokenizers/ggml-vocab-llama-spm.gguf")

    made = reader(make_model(tmp_path / "m.gguf", vocab=real))

    original = reader(real)
    keys = [k for k in original.fields if k.startswith("tokenizer.")]
    assert keys
    for key in keys:
        assert made.fields[key].types == original.fields[key].types
        assert made.fields[key].contents() == original.fields[key].contents()
    assert next(t for t in made.tensors if t.name == "output.weight").shape[1] == 32000
