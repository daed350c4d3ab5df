"""Attention over latents (MLA): keys and values of all heads come from one short vector of each token.

DeepSeek-AI, "DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model" (2024), section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from oxillama.core._core import MAX_HEAD_DIM
from oxillama.models.params.heads import HeadShape
from oxillama.models.params.keys import MAX_WIDTH, Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentShape:
    """Columns of a latent, and of one head of queries and keys (`plain` ones, then `n_rot` rotated ones) and of values.

    absorbed: the file has a matrix for every head, and the cache holds latents with one rotated key for all heads. Else
    it has one matrix for all heads, and the cache holds their keys and values.
    """

    rank: int
    plain: int
    n_rot: int
    value: int
    absorbed: bool


def read_latent(keys: Keys, heads: tuple[HeadShape, ...]) -> LatentShape:
    """`heads`: as the file states them, which must agree: a latent and a rotated key if absorbed, else whole heads.

    Raises ModelFormatError, naming the file and the key.
    """
    gguf, first = keys.gguf, heads[0]
    rank = keys.whole("attention.kv_lora_rank", low=1, high=MAX_WIDTH)
    key = keys.whole("attention.key_length_mla", 0, low=0, high=MAX_HEAD_DIM)
    value = keys.whole("attention.value_length_mla", 0, low=0, high=MAX_HEAD_DIM)
    absorbed = key > 0 and value > 0
    if not absorbed:
        key, value = first.key_dim, first.value_dim
    name = "attention.key_length_mla" if absorbed else "attention.key_length"
    if key <= first.n_rot:
        gguf.fail(keys.name(name), f"is {key}, of which {first.n_rot} are rotated, so that none is left")
    for shape in heads:
        if shape.n_head * max(key, value, rank + first.n_rot) > MAX_WIDTH:
            gguf.fail(keys.name("attention.head_count"), f"{shape.n_head} heads of {max(key, value)} are too many")
        if absorbed:
            _check_cached(keys, shape, rank)
        elif shape.n_kv != shape.n_head:
            gguf.fail(keys.name("attention.head_count_kv"), f"is {shape.n_kv}, not that of the {shape.n_head} heads")
    return LatentShape(rank=rank, plain=key - first.n_rot, n_rot=first.n_rot, value=value, absorbed=absorbed)


def _check_cached(keys: Keys, shape: HeadShape, rank: int) -> None:
    """One key head, which is the latent and the rotated key; its values are the latent."""
    want = {
        "attention.head_count_kv": (shape.n_kv, 1),
        "attention.key_length": (shape.key_dim, rank + shape.n_rot),
        "attention.value_length": (shape.value_dim, rank),
    }
    for key, (found, needed) in want.items():
        if found != needed:
            keys.gguf.fail(keys.name(key), f"is {found}; with latents of {rank} columns it must be {needed}")
