"""Every model that can be described can be loaded and run; every refusal is a ModelError."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.core._core import MAX_HEAD_DIM
from oxillama.errors import ModelError
from oxillama.gguf import GGUFFile
from oxillama.models import describe_model, load_model
from tests.support.tiny_models import TinyModel

NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 8, 15, 16, 17, 32, 64, 96, 128, 4096, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
SIGNED = st.integers(-3, 200).map(lambda n: (n, "i32"))
REALS = st.sampled_from([0.0, 1e-30, 1e-5, 0.5, 1.0, 4.0, 1e4, 1e30, -1.0, float("nan"), float("inf")])
ARRAYS = st.lists(st.sampled_from([0, 1, 2, 4, 64, 96]), min_size=1, max_size=3).map(lambda v: np.array(v, np.int32))
WORDS = st.sampled_from(["", "none", "linear", "yarn", "longrope", "llama", "gpt2", "x"])
KEYS = [
    "block_count",
    "embedding_length",
    "context_length",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "attention.temperature_scale",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_log_multiplier",
    "expert_count",
    "expert_used_count",
    "vocab_size",
    "attention.causal",
    "pooling_type",
    "classifier.pooling_type",
]
CHANGES = st.tuples(st.sampled_from(KEYS), st.one_of(NUMBERS, SIGNED, REALS, ARRAYS, WORDS, st.booleans()))


def description_or_refusal(path: str | Path) -> Any:
    try:
        return describe_model(GGUFFile(path))
    except ModelError as error:
        return str(error)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(arch=st.sampled_from(["llama", "mistral3", "qwen2", "qwen3"]), changes=st.lists(CHANGES, min_size=1, max_size=3))
def test_described_means_loadable(
    tmp_path_factory: pytest.TempPathFactory, arch: str, changes: list[tuple[str, Any]]
) -> None:
    model = TinyModel(arch, n_layer=1)
    for key, value in changes:
        model.metadata[f"{arch}.{key}"] = value
    path = model.write(tmp_path_factory.mktemp("m") / "m.gguf")
    described = description_or_refusal(path)
    if isinstance(described, str):
        assert str(path) in described
        return
    runner = load_model(path, n_threads=1, n_ctx=min(described.context_length, 64)).runner
    logits = runner.step(np.array([1], np.int32), [runner.seq_open()], [1], np.ones(1, bool))
    assert logits.shape == (1, described.vocabulary)


@pytest.mark.parametrize("arch", ["llama", "mistral3", "qwen2", "qwen3"])
@pytest.mark.parametrize(("width", "fits"), [(MAX_HEAD_DIM, True), (MAX_HEAD_DIM + 2, False)])
def test_the_widest_head_that_is_described_is_the_widest_that_loads(
    tmp_path: Path, arch: str, width: int, fits: bool
) -> None:
    model = TinyModel(arch, n_layer=1, n_embd=32, n_head=1, n_head_kv=1, head_dim=width, n_ff=32, n_vocab=32)
    path = model.write(tmp_path / "m.gguf")
    if fits:
        assert describe_model(GGUFFile(path)).head_dim == width
        assert load_model(path, n_threads=1, n_ctx=32, n_batch=1).runner.n_vocab == 32
        return
    for read in (lambda path: describe_model(GGUFFile(path)), load_model):
        with pytest.raises(ModelError, match=r"key_length.*is not between 1 and 65536"):
            read(path)


def test_a_head_may_be_too_wide_even_without_a_key_for_its_width(tmp_path: Path) -> None:
    wide = MAX_HEAD_DIM + 2
    model = TinyModel(n_layer=1, n_embd=2, n_head=1, n_head_kv=1, head_dim=2, n_ff=2, n_vocab=2)
    model.metadata["llama.embedding_length"] = wide
    for key in ("key_length", "value_length"):
        del model.metadata[f"llama.attention.{key}"]
    with pytest.raises(ModelError, match="head_count': makes heads of 65538, more than 65536"):
        describe_model(GGUFFile(model.write(tmp_path / "m.gguf")))


@pytest.mark.parametrize("key", ["chat_template.tool_use", "chat_template."])
def test_a_chat_template_that_is_not_a_string_is_refused_when_the_model_is_described(tmp_path: Path, key: str) -> None:
    model = TinyModel(n_layer=1, vocab="spm")
    model.metadata[f"tokenizer.{key}"] = (5, "u32")
    with pytest.raises(ModelError, match=f"tokenizer.{key} must be a string"):
        describe_model(GGUFFile(model.write(tmp_path / "m.gguf")))
