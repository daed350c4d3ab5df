"""The tokenizer.* metadata of a synthetic model: copied from a real file, or synthetic with the right size."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from shapes import Metadata

from oxillama.core._core import GGUF

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
SPACE = "▁"


def copied(path: Path) -> Metadata:
    """The tokenizer.* keys of a GGUF file."""
    file = GGUF(path)
    types = file.metadata_types()
    return {k: (types[k], v) for k, v in file.metadata().items() if k.startswith("tokenizer.")}


def made_up(n_vocab: int) -> Metadata:
    """A SentencePiece-like vocabulary: three special tokens, 256 bytes, then strings of letters of growing length."""
    if n_vocab < 3 + 256 + 64:
        raise ValueError(f"a vocabulary needs at least 323 tokens, not {n_vocab}")
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]
    types = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256]
    tokens += itertools.islice(_pieces(), n_vocab - len(tokens))
    types += [NORMAL] * (n_vocab - len(types))
    # SentencePiece merges pieces with better scores earlier; special tokens and bytes have none.
    scores = [0.0] * 259 + [float(-i) for i in range(n_vocab - 259)]
    return {
        "tokenizer.ggml.model": ("str", "llama"),
        "tokenizer.ggml.tokens": ("arr[str]", tokens),
        "tokenizer.ggml.scores": ("arr[f32]", np.array(scores, np.float32)),
        "tokenizer.ggml.token_type": ("arr[i32]", np.array(types, np.int32)),
        "tokenizer.ggml.bos_token_id": ("u32", 1),
        "tokenizer.ggml.eos_token_id": ("u32", 2),
        "tokenizer.ggml.unknown_token_id": ("u32", 0),
        "tokenizer.ggml.add_bos_token": ("bool", True),
        "tokenizer.ggml.add_eos_token": ("bool", False),
    }


def _pieces() -> Iterator[str]:
    yield SPACE
    yield from (c for c in string.printable if c.isprintable() and c != " ")
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            word = "".join(letters)
            yield SPACE + word
            if length > 1:
                yield word
