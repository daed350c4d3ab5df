"""Weights of an earlier model file as the beginning of a larger network with another vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.core._core import dequantize
from oxillama.embedded.learning.vocabulary import SPACE
from oxillama.embedded.shape import Shape
from oxillama.gguf import GGUFFile
from oxillama.text.tokenizers.tokenizer import Tokenizer as OwnTokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Weights = dict[str, npt.NDArray[np.float32]]


def grown(path: Path, tokenizer: Tokenizer, shape: Shape) -> Weights:
    """The weights of the file at `path` for a network of `shape`, whose widths are the file's.

    A token's row is the mean of the rows of the old tokens that spell it. New layers lie between old ones, evenly, and
    are left out: with zeros as what they add to the residual (`attn_output`, `ffn_down`) they change nothing at first.
    """
    gguf = GGUFFile(path)
    old = {name: _array(gguf, name) for name in gguf.tensors}
    layers = gguf.require_int("llama.block_count", low=1)
    places = [round((i + 0.5) * shape.n_layer / layers - 0.5) for i in range(layers)]
    weights: Weights = {"output_norm.weight": old["output_norm.weight"]}
    weights["token_embd.weight"] = _rows(old["token_embd.weight"], OwnTokenizer.from_gguf(gguf), tokenizer, shape)
    for name, array in old.items():
        if name.startswith("blk."):
            _, layer, rest = name.split(".", 2)
            weights[f"blk.{places[int(layer)]}.{rest}"] = array
    return weights


def _array(gguf: GGUFFile, name: str) -> npt.NDArray[np.float32]:
    info = gguf.tensors[name]
    return dequantize(info.type, gguf.raw(name), info.n_elements).reshape(info.shape[::-1])


def _rows(
    old: npt.NDArray[np.float32], own: OwnTokenizer, tokenizer: Tokenizer, shape: Shape
) -> npt.NDArray[np.float32]:
    rows = np.zeros((shape.n_vocab, old.shape[1]), np.float32)
    for text, i in tokenizer.get_vocab().items():
        ids = own.encode(text.replace(SPACE, " ").replace("Ċ", "\n"), parse_special=True)
        rows[i] = old[ids].mean(0)
    return rows
