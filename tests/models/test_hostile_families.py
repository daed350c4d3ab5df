"""Files of families whose layers differ: whatever is described can be loaded, and the rest is refused in one line."""

from __future__ import annotations

import copy
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import packed_bytes, tensor_types
from oxillama.errors import ModelError, ModelFormatError
from oxillama.gguf import GGUFFile
from oxillama.models import ModelDescription, describe_model, load_model
from tests.support.oracles import nmse, oracle_model
from tests.support.tiny_families import DIM, N_FF, TINY_FAMILIES
from tests.support.tiny_models import TinyModel

LATENT = ["deepseek2-v3", "deepseek2-mha", "deepseek2-glm47flash", "deepseek2-mistral", "deepseek2-ocr"]
"""Oracles that are small enough to be changed like the tiny models."""
MODELS = [*TINY_FAMILIES, *(name for name in LATENT if name != "deepseek2-glm47flash")]
"""The other oracle's last block may lack anything, because it is not run."""
OPTIONAL: dict[str, set[str]] = {
    "gemma4": {"layer_output_scale.weight", "ffn_down_exps.scale", "attn_v.weight"},
    "gpt-oss": {"attn_q.bias", "attn_k.bias", "attn_v.bias"},
    "qwen3moe": {"output.weight"},
    "qwen3next": {"attn_qkv.weight"},
    **{name: {"output.weight", "exp_probs_b.bias"} for name in LATENT},
}
"""Tensors without which the file is a valid model of another kind."""
INSTEAD = {
    "ffn_gate_inp.weight": "tensor 'blk.1.ffn_gate_up_exps.weight' has no part in",  # a layer without a router is dense
    "ffn_gate_up_exps.weight": "tensor 'blk.1.ffn_gate_exps.weight' is missing",  # they may be two
}
"""What gemma4 says where a missing tensor has another meaning."""


def model_of(name: str, folder: Path) -> TinyModel:
    return TINY_FAMILIES[name]() if name in TINY_FAMILIES else oracle_model(name, folder / "oracle.gguf")


def with_tensors(model: TinyModel, tensors: dict[str, Any]) -> TinyModel:
    other = copy.copy(model)
    other.tensors = tensors
    return other


def refusal(model: TinyModel, path: Path, kind: type[ModelError] = ModelError) -> str:
    """The line with which describing and loading both refuse the model; it names the file."""
    file, said = model.write(path / "bad.gguf"), []
    for use in (lambda: describe_model(GGUFFile(file)), lambda: load_model(file, n_threads=1)):
        with pytest.raises(kind) as caught:
            use()
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert said[0].startswith(f"{file}: ")
    assert "\n" not in said[0]
    return said[0]


def without_layer(name: str) -> str:
    return name.split(".", 2)[-1] if name.startswith("blk.") else name


def distinct(model: TinyModel) -> list[str]:
    """Tensors without their repetition in other layers."""
    return list({without_layer(name): name for name in model.tensors}.values())


@pytest.mark.parametrize("arch", MODELS)
def test_every_missing_tensor_is_named(tmp_path: Path, arch: str) -> None:
    original = model_of(arch, tmp_path)
    for name in distinct(original):
        suffix = without_layer(name)
        if suffix in OPTIONAL.get(arch, ()):
            continue
        model = with_tensors(original, {key: array for key, array in original.tensors.items() if key != name})
        want = INSTEAD.get(suffix) if arch == "gemma4" else None
        assert (want or f"tensor '{name}' is missing") in refusal(model, tmp_path)


@pytest.mark.parametrize("arch", MODELS)
def test_every_misshapen_tensor_is_named(tmp_path: Path, arch: str) -> None:
    original = model_of(arch, tmp_path)
    for name in distinct(original):
        twice = np.concatenate([original.tensors[name], original.tensors[name]])
        model = with_tensors(original, original.tensors | {name: twice})
        assert f"tensor '{name}' has shape" in refusal(model, tmp_path, ModelFormatError)


CHANGES: list[tuple[str, str, Any, str]] = [
    ("gemma2", "attention.sliding_window", 0, "attention.sliding_window"),
    ("gemma2", "attention.sliding_window_pattern", np.array([1, 0, 1], np.int32), "sliding_window_pattern"),
    ("gemma2", "attention.value_length", 2 * DIM, "attention.value_length"),
    ("gemma2", "final_logit_softcapping", -1.0, "final_logit_softcapping"),
    ("gemma2", "attn_logit_softcapping", float("nan"), "attn_logit_softcapping"),
    ("gemma2", "attn_logit_softcapping", 1e-30, "attn_logit_softcapping"),
    ("gemma3", "rope.freq_base_swa", 1.0, "rope.freq_base_swa"),
    ("gemma3", "attention.sliding_window_pattern", (-1, "i32"), "sliding_window_pattern"),
    ("gemma3", "attention.sliding_window_pattern", "6", "sliding_window_pattern"),
    ("gemma4", "attention.sliding_window", None, "attention.sliding_window' is missing"),
    ("gemma4", "attention.sliding_window_pattern", None, "sliding_window_pattern' is missing"),
    ("gemma4", "attention.sliding_window_pattern", ([True] * 5, "arr[bool]"), "tensor 'blk.2.attn_q.weight' has shape"),
    ("gemma4", "attention.key_length_swa", None, "attention.key_length_swa' is missing"),
    ("gemma4", "attention.value_length_swa", 2 * DIM, "attention.value_length_swa"),
    ("gemma4", "attention.shared_kv_layers", 5, "attention.shared_kv_layers"),
    ("gemma4", "attention.shared_kv_layers", 3, "attention.shared_kv_layers"),  # leaves no layer that sees everything
    ("gemma4", "attention.head_count_kv", np.array([2, 2, 1, 3, 1], np.int32), "attention.head_count_kv"),
    ("gemma4", "attention.head_count_kv", np.array([2, 2, 0, 2, 1], np.int32), "attention.head_count_kv"),
    ("gemma4", "feed_forward_length", np.array([N_FF] * 5, np.int32), "tensor 'blk.3.ffn_gate.weight' has shape"),
    ("gemma4", "rope.dimension_count", DIM, "rope.dimension_count"),
    ("gemma4", "rope.dimension_count_swa", 2 * DIM, "rope.dimension_count_swa"),
    ("gemma4", "rope.dimension_count_swa", None, "rope.dimension_count_swa"),  # that of other layers: too many
    ("gemma4", "embedding_length_per_layer_input", 2**20, "embedding_length_per_layer_input"),
    ("gemma4", "embedding_length_per_layer_input", 8, "tensor 'per_layer_token_embd.weight' has shape"),
    ("gemma4", "expert_count", None, "the 0 experts there are"),
    ("gemma4", "expert_feed_forward_length", 16, "tensor 'blk.1.ffn_gate_up_exps.weight' has shape"),
    ("gpt-oss", "attention.sliding_window", None, "attention.sliding_window' is missing"),
    ("gpt-oss", "rope.dimension_count", DIM // 2, "rope.dimension_count"),
    ("gpt-oss", "expert_count", 0, "the 0 experts there are"),
    ("gpt-oss", "expert_used_count", 5, "expert_used_count"),
    ("gpt-oss", "expert_feed_forward_length", None, "expert_feed_forward_length' is missing"),
    ("qwen3moe", "expert_count", None, "the 0 experts there are"),
    ("qwen3moe", "expert_used_count", 0, "expert_used_count"),
    ("qwen3moe", "expert_feed_forward_length", 0, "expert_feed_forward_length"),
    ("lfm2", "shortconv.l_cache", None, "shortconv.l_cache' is missing"),
    ("lfm2", "shortconv.l_cache", 17, "shortconv.l_cache"),
    ("lfm2", "shortconv.l_cache", 4, "tensor 'blk.0.shortconv.conv.weight' has shape"),
    ("lfm2", "attention.head_count_kv", np.array([0, 3], np.int32), "attention.head_count_kv"),
    ("lfm2", "attention.head_count_kv", np.array([0, 0], np.int32), "'blk.1.shortconv.in_proj.weight' is missing"),
    ("lfm2", "attention.head_count", np.array([4, 0], np.int32), "attention.head_count_kv"),
    ("lfm2", "attention.head_count", 0, "attention.head_count"),
    ("lfm2moe", "leading_dense_block_count", 3, "leading_dense_block_count"),
    ("lfm2moe", "expert_gating_func", None, "expert_gating_func' is missing"),
    ("lfm2moe", "expert_gating_func", 9, "expert_gating_func"),
    ("qwen35", "ssm.conv_kernel", 1, "ssm.conv_kernel"),
    ("qwen35", "ssm.group_count", 3, "ssm.group_count"),
    ("qwen35", "ssm.inner_size", 48, "ssm.inner_size"),
    ("qwen35", "ssm.state_size", 2**20, "ssm.inner_size"),
    ("qwen35", "ssm.time_step_rank", 0, "ssm.time_step_rank"),
    ("qwen35", "rope.dimension_sections", None, "rope.dimension_sections' is missing"),
    ("qwen35", "rope.dimension_sections", np.array([2, 1, 1], np.int32), "rope.dimension_sections"),
    ("qwen35", "rope.dimension_sections", np.array([2, 1, 1, -1], np.int32), "rope.dimension_sections"),
    ("qwen35", "rope.dimension_sections", np.array([0, 0, 0, 0], np.int32), "rope.dimension_sections"),
    ("qwen35", "attention.recurrent_layers", np.array([1, 0], np.int32), "attention.recurrent_layers"),
    ("qwen35", "attention.recurrent_layers", None, "tensor 'blk.1.attn_qkv.weight' is missing"),
    ("qwen35", "nextn_predict_layers", 3, "nextn_predict_layers"),
    ("qwen35", "nextn_predict_layers", 0, "tensor 'blk.2.attn_norm.weight' is missing"),
    ("qwen35", "attention.value_length", 2 * DIM, "attention.value_length"),
    ("qwen35moe", "expert_count", None, "the 0 experts there are"),
    ("qwen35moe", "expert_shared_feed_forward_length", 16, "tensor 'blk.0.ffn_gate_shexp.weight' has shape"),
    ("qwen3next", "expert_feed_forward_length", 16, "tensor 'blk.0.ffn_gate_exps.weight' has shape"),
]


@pytest.mark.parametrize(("arch", "key", "value", "culprit"), CHANGES, ids=lambda v: str(v)[:30])
def test_a_hyper_parameter_that_does_not_fit_is_named(
    tmp_path: Path, arch: str, key: str, value: Any, culprit: str
) -> None:
    model = TINY_FAMILIES[arch]()
    if value is None:
        del model.metadata[f"{arch}.{key}"]
    else:
        model.metadata[f"{arch}.{key}"] = value
    assert culprit in refusal(model, tmp_path)


def test_shared_keys_must_suit_the_heads_that_read_them(tmp_path: Path) -> None:
    """Layer 3 has three heads, and layer 1, whose keys and values it reads, has two of those."""
    model = TINY_FAMILIES["gemma4"]()
    model.metadata["gemma4.attention.head_count"] = np.array([4, 4, 4, 3, 4], np.int32)
    model.metadata["gemma4.attention.head_count_kv"] = np.array([2, 2, 1, 1, 1], np.int32)
    model.tensors["blk.3.attn_q.weight"] = model.tensors["blk.3.attn_q.weight"][: 3 * DIM]
    assert "2 shared key heads do not divide the 3 heads of layer 3" in refusal(model, tmp_path, ModelFormatError)


NUMBERS = [0, 1, 2, 3, 4, 5, 8, 12, 16, 17, 32, 48, 64, 128, 4096, 2**16, 2**20, 2**31 - 1, 2**31, 2**32 - 1, -1]
REALS = [0.0, 1e-300, 1e-30, 1e-3, 0.5, 1.0, 1.002, 4.0, 1e4, 1e30, 1e300, -1.0, float("nan"), float("inf")]
WORDS = ["", "none", "linear", "yarn", "longrope", "x"]
MORE_KEYS = [
    *("attention.sliding_window", "attention.sliding_window_pattern", "rope.freq_base_swa", "attention.causal"),
    *("attn_logit_softcapping", "final_logit_softcapping", "rope.scaling.type", "rope.scaling.factor"),
    *("nextn_predict_layers", "full_attention_interval", "shortconv.l_cache", "leading_dense_block_count"),
    *("rope.scaling.original_context_length", "rope.scaling.attn_factor", "expert_count", "expert_used_count"),
]


def a_value(rng: random.Random) -> tuple[Any, str]:
    """A value and its GGUF type."""
    match rng.randrange(6):
        case 0 | 1:
            number = rng.choice(NUMBERS)
            return number, "i64" if number < 0 else "u64"
        case 2:
            return rng.choice(REALS), rng.choice(["f32", "f64"])
        case 3:
            return np.array(rng.choices(NUMBERS[:14], k=rng.randint(1, 6)), np.int64), "arr[i64]"
        case 4:
            return np.array(rng.choices([False, True], k=rng.randint(1, 6))), "arr[bool]"
        case _:
            return rng.choice([*WORDS, True, False]), rng.choice(["str", "bool"])


def changed(path: Path, rng: random.Random) -> GGUFFile:
    """The file with one to three keys changed or removed."""
    file = GGUFFile(path)
    values, types = dict(file.metadata), dict(file.metadata_types)
    arch = str(values["general.architecture"])
    own = [key for key in types if key.startswith(f"{arch}.")]
    for _ in range(rng.randint(1, 3)):
        key = rng.choice([*own, *(f"{arch}.{key}" for key in MORE_KEYS)])
        if rng.random() < 0.2:
            values.pop(key, None)
            types.pop(key, None)
        else:
            value, types[key] = a_value(rng)
            values[key] = (
                (str(value) if types[key] == "str" else bool(value)) if types[key] in ("str", "bool") else value
            )
    file.metadata, file.metadata_types = values, types
    return file


def description_or_refusal(file: GGUFFile) -> ModelDescription | str:
    try:
        return describe_model(file)
    except ModelError as error:
        return str(error)


def described_means_loadable(path: Path, n: int, seed: int) -> int:
    """Check n changed files; returns how many were accepted."""
    rng, accepted = random.Random(seed), 0
    for _ in range(n):
        file = changed(path, rng)
        described = description_or_refusal(file)
        if isinstance(described, str):
            assert described.startswith(f"{path}: ")
            assert "\n" not in described
            continue
        accepted += 1
        model = load_model(file, n_threads=1, n_ctx=min(described.context_length, 64), n_batch=4, n_seqs=1)
        model.runner.step(np.array([1], np.int32), [model.runner.seq_open()], [1], np.ones(1, bool))
        assert model.runner.embeddings().shape == (1, described.embedding_length)
        model.close()
    return accepted


@pytest.mark.parametrize("arch", [*TINY_FAMILIES, *LATENT])
def test_what_is_described_can_be_loaded(tmp_path: Path, arch: str) -> None:
    path = model_of(arch, tmp_path).write(tmp_path / "m.gguf")
    assert 0 < described_means_loadable(path, 150, 1) < 150


@pytest.mark.slow
@pytest.mark.parametrize("arch", [*TINY_FAMILIES, *LATENT])
def test_what_is_described_can_be_loaded_thousands_of_times(tmp_path: Path, arch: str) -> None:
    """OXILLAMA_FUZZ_COUNT: how many descriptions of each family."""
    path = model_of(arch, tmp_path).write(tmp_path / "m.gguf")
    count = int(os.environ.get("OXILLAMA_FUZZ_COUNT", "5000"))
    assert described_means_loadable(path, count, 2) > count // 20


def quantised(model: TinyModel, type_name: str, role: str = "") -> TinyModel:
    """Its matrices in another type, where their rows fill blocks; role: only those with this in their names."""
    for name, array in model.tensors.items():
        if array.ndim > 1 and name.endswith(".weight") and array.shape[-1] % 32 == 0 and role in name:
            model.types[name] = type_name
    return model


def logits_of(path: Path) -> Any:
    model = load_model(path, n_threads=1, n_ctx=64, kv_type="f32")
    tokens = np.arange(40, dtype=np.int32)
    logits = model.runner.step(tokens, [model.runner.seq_open()], [40], np.ones(40, bool)).copy()
    model.close()
    return logits


@pytest.mark.parametrize("arch", TINY_FAMILIES)
def test_quantised_weights_stay_close(tmp_path: Path, arch: str) -> None:
    exact = logits_of(TINY_FAMILIES[arch]().write(tmp_path / "f32.gguf"))
    rounded = logits_of(quantised(TINY_FAMILIES[arch](), "Q8_0").write(tmp_path / "q8_0.gguf"))
    assert 0 < nmse(rounded, exact) < 0.01


@pytest.mark.parametrize("type_name", ["MXFP4", "NVFP4"])
def test_experts_of_four_bits_take_as_many_in_memory(type_name: str) -> None:
    """They are multiplied as they are, not unpacked when the model is loaded."""
    width = 2880  # gpt-oss's
    number, block, n_bytes = next((i, *sizes) for i, (name, *sizes) in tensor_types().items() if name == type_name)
    assert packed_bytes(number, width, width) == pytest.approx(width * width // block * n_bytes, rel=0.002)


def test_experts_in_mxfp4_run(tmp_path: Path) -> None:
    exact = logits_of(TINY_FAMILIES["gpt-oss"]().write(tmp_path / "f32.gguf"))
    rounded = logits_of(quantised(TINY_FAMILIES["gpt-oss"](), "MXFP4", "_exps").write(tmp_path / "mxfp4.gguf"))
    assert 0 < nmse(rounded, exact) < 0.05
