"""The hyper-parameters that decoder-only transformers share, read and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.core._core import MAX_HEAD_DIM, PAGE_TOKENS, cache_head_bytes
from oxillama.errors import ModelFormatError, ModelUnsupportedError
from oxillama.models.params.keys import (
    MAX_CONTEXT,
    MAX_EXPERTS,
    MAX_FF,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_VOCAB,
    MAX_WIDTH,
    Keys,
)
from oxillama.models.params.rope import RopeScaling, read_rope

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile


@dataclass(frozen=True, slots=True, kw_only=True)
class HParams:
    """Sizes of a model; per-layer ones are tuples of n_layer. Counts of heads and columns, not bytes."""

    architecture: str
    n_vocab: int
    n_ctx_train: int
    n_embd: int
    n_layer: int
    n_ff: tuple[int, ...]
    n_head: tuple[int, ...]
    n_head_kv: tuple[int, ...]
    head_dim_k: int
    head_dim_v: int
    n_rot: int
    rope: RopeScaling
    norm_eps: float
    n_expert: int = 0
    n_expert_used: int = 0

    def cache_bytes_per_token(self, cache_type: str) -> int:
        """Bytes of key/value cache that one token takes in all layers."""
        return cache_head_bytes(cache_type, self.head_dim_k, self.head_dim_v) * sum(self.n_head_kv) // PAGE_TOKENS


def read_vocab_size(gguf: GGUFFile, keys: Keys) -> int:
    """The length of the token list, or without one the size that the file states. The two must not disagree."""
    tokens = gguf.get_strs("tokenizer.ggml.tokens")
    stated = gguf.get_int(keys.name("vocab_size"), low=1, high=MAX_VOCAB)
    if tokens is None:
        if stated is None:
            gguf.fail("tokenizer.ggml.tokens", f"is missing, and so is '{keys.name('vocab_size')}'")
        return stated
    if not 1 <= len(tokens) <= MAX_VOCAB:
        gguf.fail("tokenizer.ggml.tokens", f"has {len(tokens)} tokens")
    if stated is not None and stated != len(tokens):
        gguf.fail(keys.name("vocab_size"), f"is {stated}, and there are {len(tokens)} tokens")
    return len(tokens)


def read_hparams(gguf: GGUFFile, architecture: str, *, yarn_keys: bool = False) -> HParams:
    """Read the common hyper-parameters. Raises ModelFormatError or ModelUnsupportedError naming file and key."""
    keys = Keys(gguf, architecture)
    if gguf.get_bool(keys.name("attention.causal"), True) is False:
        raise ModelUnsupportedError(f"{gguf.path}: key '{keys.name('attention.causal')}': false is not supported")
    n_layer = keys.whole("block_count", low=1, high=MAX_LAYERS)
    n_embd = keys.whole("embedding_length", low=1, high=MAX_WIDTH)
    n_ctx_train = keys.whole("context_length", low=1, high=MAX_CONTEXT)
    n_head = keys.per_layer("attention.head_count", n_layer, low=1, high=MAX_HEADS)
    n_head_kv = keys.per_layer("attention.head_count_kv", n_layer, n_head, low=1, high=MAX_HEADS)
    for heads, heads_kv in zip(n_head, n_head_kv, strict=True):
        if heads % heads_kv:
            gguf.fail(keys.name("attention.head_count_kv"), f"{heads_kv} key heads do not divide {heads} heads")
    if keys.name("attention.key_length") not in gguf.metadata_types and n_embd % n_head[0]:
        gguf.fail(keys.name("attention.head_count"), f"{n_head[0]} does not divide the embedding length {n_embd}")
    head_dim = max(1, n_embd // n_head[0])
    head_dim_k = keys.whole("attention.key_length", head_dim, low=1, high=MAX_HEAD_DIM)
    head_dim_v = keys.whole("attention.value_length", head_dim, low=1, high=MAX_HEAD_DIM)
    if max(head_dim_k, head_dim_v) > MAX_HEAD_DIM:  # a value derived from other keys is still unchecked
        gguf.fail(keys.name("attention.head_count"), f"makes heads of {head_dim}, more than {MAX_HEAD_DIM}")
    n_rot = keys.whole("rope.dimension_count", head_dim_k, low=2, high=head_dim_k)
    if n_rot % 2:
        gguf.fail(keys.name("rope.dimension_count"), f"{n_rot} is odd: dimensions are rotated in pairs")
    for heads in {*n_head, *n_head_kv}:
        if heads * max(head_dim_k, head_dim_v) > MAX_WIDTH:
            gguf.fail(keys.name("attention.head_count"), f"{heads} heads of {max(head_dim_k, head_dim_v)} are too many")
    n_expert, n_expert_used = read_experts(keys)
    return HParams(
        architecture=architecture,
        n_vocab=read_vocab_size(gguf, keys),
        n_ctx_train=n_ctx_train,
        n_embd=n_embd,
        n_layer=n_layer,
        n_ff=keys.per_layer("feed_forward_length", n_layer, low=1, high=MAX_FF),
        n_head=n_head,
        n_head_kv=n_head_kv,
        head_dim_k=head_dim_k,
        head_dim_v=head_dim_v,
        n_rot=n_rot,
        rope=read_rope(keys, n_ctx_train, yarn_keys=yarn_keys),
        norm_eps=read_epsilon(keys),
        n_expert=n_expert,
        n_expert_used=n_expert_used,
    )


def read_epsilon(keys: Keys) -> float:
    name = keys.name("attention.layer_norm_rms_epsilon")
    value = keys.gguf.require_float(name)
    if not 0 < value <= 1:
        keys.gguf.fail(name, f"{value:g} is not above 0 and at most 1")
    return value


def read_experts(keys: Keys) -> tuple[int, int]:
    """(experts, experts used per token); (0, 0) for a dense model."""
    n_expert = keys.whole("expert_count", 0, low=0, high=MAX_EXPERTS)
    n_used = keys.whole("expert_used_count", 0, low=0, high=MAX_EXPERTS)
    if n_expert == 0 and n_used == 0:
        return 0, 0
    if not 1 <= n_used <= n_expert:
        keys.gguf.fail(
            keys.name("expert_used_count"), f"{n_used} is not between 1 and the {n_expert} experts there are"
        )
    return n_expert, n_used


def require_whole_heads(gguf: GGUFFile, hparams: HParams) -> None:
    """For architectures that rotate whole heads and whose keys and values have equal length."""
    if hparams.n_rot != hparams.head_dim_k:
        raise ModelFormatError(
            f"{gguf.path}: key '{hparams.architecture}.rope.dimension_count': {hparams.n_rot} is not the head's"
            f" {hparams.head_dim_k} dimensions"
        )
    if hparams.head_dim_k != hparams.head_dim_v:
        raise ModelFormatError(
            f"{gguf.path}: key '{hparams.architecture}.attention.value_length': {hparams.head_dim_v} is not the key"
            f" length {hparams.head_dim_k}"
        )
