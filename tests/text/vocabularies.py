"""Vocabularies for tests: small ones made here, real ones from the shared data."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from oxillama.text import Tokenizer
from oxillama.text.tokenizers.pieces import byte_alphabet
from tests.support.shared import shared

REAL = (
    "bert-bge",
    "command-r",
    "deepseek-llm",
    "falcon",
    "gpt-2",
    "llama-bpe",
    "llama-spm",
    "phi-3",
    "qwen2",
    "starcoder",
)
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SEPARATOR = "\n__ggml_vocab_test__\n"


@cache
def real(name: str) -> Tokenizer:
    return Tokenizer.from_gguf(shared(f"tokenizers/ggml-vocab-{name}.gguf"))


def expected(name: str) -> list[tuple[str, list[int]]]:
    """The published texts of a vocabulary and their ids."""
    stem = f"tokenizers/ggml-vocab-{name}.gguf"
    texts = shared(stem + ".inp").read_bytes().decode().split(SEPARATOR)
    lines = shared(stem + ".out").read_text().split("\n")
    assert len(texts) == len(lines)
    return [(text, [int(i) for i in line.split()]) for text, line in zip(texts, lines, strict=True)]


def spm_metadata(words: dict[str, float], **extra: Any) -> dict[str, Any]:
    """An SPM vocabulary: <unk>, <s>, </s>, all bytes, then the given pieces with their scores."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *words]
    types = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * len(words)]
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": np.array([0.0] * 259 + list(words.values()), np.float32),
        "tokenizer.ggml.token_type": np.array(types, np.int32),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        **{f"tokenizer.ggml.{key}": value for key, value in extra.items()},
    }


def bpe_metadata(merges: tuple[str, ...] = (), control: tuple[str, ...] = (), **extra: Any) -> dict[str, Any]:
    """A byte-level BPE vocabulary: the 256 bytes, the results of the merges, then control tokens."""
    tokens = [*byte_alphabet(), *(merge.replace(" ", "") for merge in merges), *control]
    types = [NORMAL] * (len(tokens) - len(control)) + [CONTROL] * len(control)
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": np.array(types, np.int32),
        "tokenizer.ggml.merges": list(merges),
        **{f"tokenizer.ggml.{key}": value for key, value in extra.items()},
    }
