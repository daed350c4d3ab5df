"""Model files that are well-formed GGUF and wrong as models: one line that names the file and the culprit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.errors import ModelError, ModelFormatError, ModelUnsupportedError
from oxillama.gguf import GGUFFile
from oxillama.models import describe_model, load_model
from tests.support.tiny_models import TinyModel, tiny_model

NAN, INF = float("nan"), float("inf")


def refused(model: TinyModel, path: Path, culprit: str, kind: type[ModelError] = ModelError) -> None:
    """Check that describing and loading both refuse the model in one line that names the file and the culprit."""
    file = model.write(path / "bad.gguf")
    for use in (lambda: describe_model(GGUFFile(file)), lambda: load_model(file, n_threads=1)):
        with pytest.raises(kind) as caught:
            use()
        text = str(caught.value)
        assert str(file) in text
        assert culprit in text
        assert "\n" not in text


def keys(arch: str = "llama") -> list[tuple[str, object]]:
    """(key, a value it must not have)"""
    wrong: dict[str, list[object]] = {
        "block_count": [0, 1025, 2**32 - 1, (-1, "i32"), 2.0, "2", [2, 2], True],
        "embedding_length": [0, 63, 65, 2**31, 2**32 - 1],
        "context_length": [0, (-5, "i32"), 2**31],
        "feed_forward_length": [0, 95, 2**32 - 1, [96], [96, 96, 96], [96, 0]],
        "attention.head_count": [0, 3, 5, 2**31, [4], [4, 0], [4, -4]],
        "attention.head_count_kv": [0, 3, 8, 2**32 - 1, [2], [2, 3]],
        "attention.key_length": [0, 15, 32, 2**31],
        "attention.value_length": [0, 8, 32, 2**31],
        "attention.layer_norm_rms_epsilon": [0.0, -1e-5, NAN, INF, 2.0, 1, "1e-5"],
        "attention.causal": [1],
        "pooling_type": [4, 5],
        "rope.dimension_count": [0, 1, 7, 8, 18, 2**32 - 1],
        "rope.freq_base": [0.0, 1.0, -10000.0, NAN, INF],
        "rope.scaling.type": ["su", "", "YARN", 1, "x" * 10_000],
        "rope.scaling.factor": [-1.0, NAN, INF, 1e30],
        "rope.scaling.original_context_length": [0, (-1, "i64")],
        "rope.scaling.attn_factor": [0.0, NAN, -1.0],
        "expert_count": [1, 4097, 2**32 - 1, (-2, "i32")],
        "expert_used_count": [2, 2**32 - 1],
        "vocab_size": [0, 127, 129, 2**31],
    }
    return [(f"{arch}.{key}", value) for key, values in wrong.items() for value in values]


@pytest.mark.parametrize(("key", "value"), keys(), ids=lambda v: str(v)[:40])
def test_a_hyper_parameter_out_of_range_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    model = TinyModel()
    model.metadata[key] = value
    refused(model, tmp_path, CONTRADICTS.get((key, str(value)), key))


# Values that are valid alone but contradict others: the error names both.
CONTRADICTS = {
    ("llama.embedding_length", "63"): "tensor 'token_embd.weight'",
    ("llama.embedding_length", "65"): "tensor 'token_embd.weight'",
    ("llama.feed_forward_length", "95"): "tensor 'blk.0.ffn_gate.weight'",
    ("llama.vocab_size", "127"): "tensor 'token_embd.weight'",
    ("llama.vocab_size", "129"): "tensor 'token_embd.weight'",
    ("llama.attention.key_length", "15"): "llama.rope.dimension_count",
    ("llama.attention.key_length", "32"): "llama.rope.dimension_count",
    ("llama.expert_count", "1"): "llama.expert_used_count",
}


REQUIRED = "block_count embedding_length context_length feed_forward_length attention.head_count"


@pytest.mark.parametrize("key", [*REQUIRED.split(), "attention.layer_norm_rms_epsilon"])
def test_a_missing_hyper_parameter_is_named(tmp_path: Path, key: str) -> None:
    model = TinyModel()
    del model.metadata[f"llama.{key}"]
    refused(model, tmp_path, f"llama.{key}", ModelFormatError)


def test_a_model_without_architecture_or_with_an_unknown_one_is_refused(tmp_path: Path) -> None:
    model = TinyModel()
    model.metadata["general.architecture"] = "llama9000"
    refused(model, tmp_path, "'llama9000' is not supported", ModelUnsupportedError)
    del model.metadata["general.architecture"]
    refused(model, tmp_path, "general.architecture", ModelFormatError)


def test_an_absurd_architecture_name_stays_one_short_line(tmp_path: Path) -> None:
    model = TinyModel()
    model.metadata["general.architecture"] = "a\nb" * 5000
    file = model.write(tmp_path / "bad.gguf")
    with pytest.raises(ModelUnsupportedError) as caught:
        describe_model(GGUFFile(file))
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def test_more_experts_used_than_there_are_is_refused(tmp_path: Path) -> None:
    refused(TinyModel(n_expert=4, n_expert_used=5), tmp_path, "expert_used_count", ModelFormatError)


def test_a_mixture_of_experts_that_uses_none_is_refused(tmp_path: Path) -> None:
    refused(TinyModel(n_expert=4, n_expert_used=0), tmp_path, "expert_used_count", ModelFormatError)


# Without an output matrix the embedding serves.
@pytest.mark.parametrize("name", sorted(TinyModel().tensors.keys() - {"output.weight"}))
def test_every_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    model = TinyModel()
    del model.tensors[name]
    refused(model, tmp_path, f"tensor '{name}' is missing", ModelFormatError)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "wider": lambda array: np.concatenate([array, array]),
    "transposed": lambda array: np.ascontiguousarray(array.T),
    "flat": np.ravel,
    "deeper": lambda array: np.stack([array, array]),
}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (name, change)
        for name, array in sorted(TinyModel(n_layer=1).tensors.items())
        for change, apply in CHANGES.items()
        if apply(array).shape != array.shape
    ],
)
def test_every_misshapen_tensor_is_named(tmp_path: Path, name: str, change: str) -> None:
    model = TinyModel(n_layer=1)
    model.tensors[name] = CHANGES[change](model.tensors[name])
    refused(model, tmp_path, f"tensor '{name}' has shape", ModelFormatError)


@pytest.mark.parametrize("name", ["blk.0.attn_q.weight", "token_embd.weight", "output.weight"])
def test_a_matrix_of_a_type_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    model = TinyModel()
    model.tensors[name] = model.tensors[name].astype(np.int32)
    model.types[name] = "I32"
    refused(model, tmp_path, f"tensor '{name}'", ModelUnsupportedError)


@pytest.mark.parametrize("name", ["output_norm.weight", "blk.1.ffn_norm.weight"])
def test_a_vector_of_an_odd_type_is_refused(tmp_path: Path, name: str) -> None:
    model = TinyModel()
    model.types[name] = "Q8_0"
    refused(model, tmp_path, f"tensor '{name}' has type Q8_0", ModelUnsupportedError)


@pytest.mark.parametrize("name", ["blk.0.ffn_gate_exps.weight", "blk.7.attn_q.weight", "blk.0.attn_sinks.weight", "x"])
def test_a_tensor_without_a_part_in_the_model_is_refused(tmp_path: Path, name: str) -> None:
    model = TinyModel()
    model.add_vector(name, 8)
    refused(model, tmp_path, f"tensor '{name}' has no part in", ModelUnsupportedError)


def test_a_hundred_thousand_tensors_are_refused_at_once(tmp_path: Path) -> None:
    model = TinyModel()
    for i in range(100_000):
        model.tensors[f"junk.{i}"] = np.zeros(1, np.float32)
    refused(model, tmp_path, "tensor 'junk.0'", ModelUnsupportedError)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tokenizer.ggml.tokens", ["a", "b"]),
        ("tokenizer.ggml.tokens", ([], "arr[str]")),
        ("tokenizer.ggml.scores", np.zeros(3, np.float32)),
        ("tokenizer.ggml.token_type", np.zeros(3, np.int32)),
        ("tokenizer.ggml.bos_token_id", 2**31),
        ("tokenizer.ggml.model", "morse"),
    ],
    ids=str,
)
def test_an_invalid_vocabulary_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    model = TinyModel(vocab="spm")
    model.metadata[key] = value
    file = model.write(tmp_path / "bad.gguf")
    with pytest.raises(ModelError) as caught:
        describe_model(GGUFFile(file))
    assert str(file) in str(caught.value)


def test_describing_reads_no_weights(tmp_path: Path) -> None:
    """The weights themselves are not checked: NaN everywhere changes nothing."""
    model = TinyModel()
    for array in model.tensors.values():
        array[:] = np.nan
    assert describe_model(GGUFFile(model.write(tmp_path / "nan.gguf"))).layers == 2


@pytest.mark.parametrize("arch", ["llama", "mistral3", "qwen2", "qwen3"])
@pytest.mark.parametrize("vocab", [None, "spm", "bpe"])
@pytest.mark.parametrize("type_name", ["F32", "Q8_0"])
def test_a_model_that_can_be_described_can_be_loaded_and_run(
    tmp_path: Path, arch: str, vocab: str, type_name: str
) -> None:
    file = tiny_model(tmp_path / "m.gguf", arch, vocab=vocab, type_name=type_name, n_ff=64)
    described = describe_model(GGUFFile(file))
    model = load_model(file, n_threads=2)
    assert described.vocabulary == model.hparams.n_vocab == model.runner.n_vocab
    seq = model.runner.seq_open()
    logits = model.runner.step(np.array([1, 2, 3], np.int32), [seq], [3], np.ones(3, bool))
    assert np.isfinite(logits).all()


def test_a_description_has_the_fields_that_info_prints(tmp_path: Path) -> None:
    file = tiny_model(tmp_path / "m.gguf", vocab="spm", type_name="Q8_0", n_ff=64, chat_template="{{ messages }}")
    described = describe_model(GGUFFile(file))
    assert (described.architecture, described.name, described.quantization) == ("llama", "tiny llama", "Q8_0")
    assert (described.layers, described.heads, described.kv_heads, described.head_dim) == (2, 4, 2, 16)
    assert described.parameters == sum(array.size for array in TinyModel(vocab="spm", n_ff=64).tensors.values())
    assert described.tensor_types == {"F32": 5, "Q8_0": 16}
    assert described.chat_template
    assert described.file_bytes == file.stat().st_size


@pytest.mark.parametrize(("file_type", "name"), [(15, "Q4_K_M"), (7, "Q8_0"), (999, "F32"), (None, "F32")])
def test_the_quantisation_comes_from_the_metadata_or_from_most_tensors(
    tmp_path: Path, file_type: int, name: str
) -> None:
    model = TinyModel()
    if file_type is not None:
        model.metadata["general.file_type"] = file_type
    assert describe_model(GGUFFile(model.write(tmp_path / "m.gguf"))).quantization == name
