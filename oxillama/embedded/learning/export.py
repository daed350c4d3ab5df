"""Writes the trained network as a GGUF file, quantised by the project's own code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oxillama.embedded import MODEL_NAME
from oxillama.embedded.chat import END, TEMPLATE, TEXT_END
from oxillama.embedded.learning.vocabulary import PRE, tokens_and_merges
from oxillama.embedded.shape import Shape
from oxillama.gguf import GGUFWriter
from oxillama.quant.mixes import FILE_TYPE_NUMBERS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Weights = Mapping[str, npt.NDArray[np.float32]]


def write_gguf(path: Path, weights: Weights, tokenizer: Tokenizer, shape: Shape, type_name: str = "Q8_0") -> None:
    """Write the model file. weights: by GGUF tensor name. Matrices get the type `type_name`, norms stay F32."""
    tokens, merges, types = tokens_and_merges(tokenizer, shape.n_vocab)
    with GGUFWriter(path) as writer:
        for key, value, kind in _metadata(shape, type_name):
            writer.add(key, value, kind)
        writer.add("tokenizer.ggml.model", "gpt2", "str")
        writer.add("tokenizer.ggml.pre", PRE, "str")
        writer.add("tokenizer.ggml.tokens", tokens, "arr[str]")
        writer.add("tokenizer.ggml.token_type", types, "arr[i32]")
        writer.add("tokenizer.ggml.merges", merges, "arr[str]")
        writer.add("tokenizer.ggml.eos_token_id", tokens.index(END), "u32")
        writer.add("tokenizer.ggml.padding_token_id", tokens.index(TEXT_END), "u32")
        writer.add("tokenizer.ggml.add_bos_token", False, "bool")
        writer.add("tokenizer.chat_template", TEMPLATE, "str")
        if shape.rope_pairs < shape.head_dim // 2:
            writer.add_tensor("rope_freqs.weight", _rope_factors(shape), "F32")
        for name, array in weights.items():
            writer.add_tensor(name, array.astype(np.float32), type_name if array.ndim == 2 else "F32")


def _rope_factors(shape: Shape) -> npt.NDArray[np.float32]:
    """What divides the frequency of each pair [head_dim / 2]: so much for pairs that do not turn that none does."""
    factors = np.ones(shape.head_dim // 2, np.float32)
    factors[shape.rope_pairs :] = 1e9
    return factors


def _metadata(shape: Shape, type_name: str) -> list[tuple[str, Any, str]]:
    return [
        ("general.architecture", "llama", "str"),
        ("general.name", MODEL_NAME, "str"),
        ("general.description", "Answers questions about oxillama and tells small stories; a demonstration.", "str"),
        ("general.license", "apache-2.0", "str"),
        ("general.languages", ["en"], "arr[str]"),
        ("general.file_type", FILE_TYPE_NUMBERS[type_name], "u32"),
        ("general.quantization_version", 2, "u32"),
        ("llama.vocab_size", shape.n_vocab, "u32"),
        ("llama.context_length", shape.n_ctx, "u32"),
        ("llama.embedding_length", shape.n_embd, "u32"),
        ("llama.block_count", shape.n_layer, "u32"),
        ("llama.feed_forward_length", shape.n_ff, "u32"),
        ("llama.attention.head_count", shape.n_head, "u32"),
        ("llama.attention.head_count_kv", shape.n_head_kv, "u32"),
        ("llama.attention.layer_norm_rms_epsilon", shape.norm_eps, "f32"),
        ("llama.rope.dimension_count", shape.head_dim, "u32"),
        ("llama.rope.freq_base", shape.rope_base, "f32"),
    ]
