"""The attention heads of a file's layers: how many there are, and how wide."""

from __future__ import annotations

from dataclasses import dataclass

from oxillama.core._core import MAX_HEAD_DIM
from oxillama.errors import ModelFormatError
from oxillama.models.params.keys import MAX_HEADS, MAX_WIDTH, Keys


@dataclass(frozen=True, slots=True)
class HeadShape:
    """One layer's attention: n_head heads of queries on n_kv heads of keys and values, and columns of one head.

    key_dim: of queries and keys, of which n_rot are rotated. n_kv 0: the layer has no attention.
    """

    n_head: int
    n_kv: int
    key_dim: int
    value_dim: int
    n_rot: int


def read_heads(keys: Keys, n_layer: int, n_embd: int, *, least_kv: int = 1) -> tuple[HeadShape, ...]:
    """The heads of every layer; their width is the same in all. least_kv 0: layers may have no attention.

    Raises ModelFormatError, naming the file and the key.
    """
    gguf = keys.gguf
    n_head = keys.per_layer("attention.head_count", n_layer, low=least_kv, high=MAX_HEADS)
    if not any(n_head):
        gguf.fail(keys.name("attention.head_count"), "is 0 in every layer")
    first = next(heads for heads in n_head if heads)
    n_kv = keys.per_layer("attention.head_count_kv", n_layer, n_head, low=least_kv, high=MAX_HEADS)
    for heads, kv in zip(n_head, n_kv, strict=True):
        if kv and (heads % kv or not heads):
            gguf.fail(keys.name("attention.head_count_kv"), f"{kv} key heads do not divide {heads} heads")
    if keys.name("attention.key_length") not in gguf.metadata_types and n_embd % first:
        gguf.fail(keys.name("attention.head_count"), f"{first} does not divide the embedding length {n_embd}")
    derived = max(1, n_embd // first)
    key_dim = keys.whole("attention.key_length", derived, low=1, high=MAX_HEAD_DIM)
    value_dim = keys.whole("attention.value_length", derived, low=1, high=MAX_HEAD_DIM)
    if max(key_dim, value_dim) > MAX_HEAD_DIM:  # a value derived from other keys is still unchecked
        gguf.fail(keys.name("attention.head_count"), f"makes heads of {derived}, more than {MAX_HEAD_DIM}")
    n_rot = read_rotated(keys, "rope.dimension_count", key_dim, key_dim)
    check_width(keys, n_head, max(key_dim, value_dim))
    return tuple(HeadShape(heads, kv, key_dim, value_dim, n_rot) for heads, kv in zip(n_head, n_kv, strict=True))


def read_rotated(keys: Keys, key: str, default: int, key_dim: int) -> int:
    """How many columns of a head are rotated: an even number."""
    n_rot = keys.whole(key, default, low=2, high=key_dim)
    if n_rot % 2:
        keys.gguf.fail(keys.name(key), f"{n_rot} is odd: dimensions are rotated in pairs")
    if n_rot > key_dim:
        keys.gguf.fail(keys.name(key), f"{n_rot} is more than the {key_dim} dimensions of a head")
    return n_rot


def check_width(keys: Keys, n_head: tuple[int, ...], dim: int) -> None:
    for heads in set(n_head):
        if heads * dim > MAX_WIDTH:
            keys.gguf.fail(keys.name("attention.head_count"), f"{heads} heads of {dim} are too many")


def require_equal_dims(keys: Keys, heads: tuple[HeadShape, ...]) -> None:
    """For architectures whose keys and values have equal length."""
    for shape in heads:
        if shape.key_dim != shape.value_dim:
            raise ModelFormatError(
                f"{keys.gguf.path}: key '{keys.name('attention.value_length')}': {shape.value_dim} is not the key"
                f" length {shape.key_dim}"
            )


def require_whole_heads(keys: Keys, heads: tuple[HeadShape, ...]) -> None:
    """For architectures that rotate whole heads and whose keys and values have equal length."""
    for shape in heads:
        if shape.n_rot != shape.key_dim:
            raise ModelFormatError(
                f"{keys.gguf.path}: key '{keys.name('rope.dimension_count')}': {shape.n_rot} is not the head's"
                f" {shape.key_dim} dimensions"
            )
    require_equal_dims(keys, heads)
