"""The hyper-parameters that decoder-only transformers share, read and checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oxillama.errors import ModelUnsupportedError
from oxillama.models.params.experts import ExpertParams, read_expert_counts
from oxillama.models.params.heads import HeadShape, read_heads
from oxillama.models.params.keys import MAX_CONTEXT, MAX_FF, MAX_LAYERS, MAX_VOCAB, MAX_WIDTH, Keys
from oxillama.models.params.pooling import Pooling, read_pooling
from oxillama.models.params.rope import RopeScaling, read_rope

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile

RMS_EPSILON, LAYER_EPSILON = "attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"


@dataclass(frozen=True, slots=True, kw_only=True)
class HParams:
    """Sizes of a model; per-layer ones are tuples of n_layer. Counts of heads and columns, not bytes.

    windows: how many tokens a layer sees, the token itself included; 0: all before it. rope: the rotation in layers
    that see everything, rope_sliding: in layers with a window. experts None: a dense model. causal: tokens see none
    after them; else they see all of their sequence, and where there is a window, whole(window / 2) to both sides.
    n_nextn: layers after the last that predict later tokens; plain decoding does not run them, and n_layer does not
    count them.
    """

    architecture: str
    n_vocab: int
    n_ctx_train: int
    n_embd: int
    n_layer: int
    n_ff: tuple[int, ...]
    heads: tuple[HeadShape, ...]
    windows: tuple[int, ...]
    rope: RopeScaling
    rope_sliding: RopeScaling
    norm_eps: float
    experts: ExpertParams | None = None
    n_nextn: int = 0
    causal: bool = True
    pooling: Pooling = field(default_factory=Pooling)

    def rope_of(self, layer: int) -> RopeScaling:
        return self.rope_sliding if self.windows[layer] else self.rope


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


def read_hparams(
    gguf: GGUFFile,
    architecture: str,
    *,
    yarn_keys: bool = False,
    least_kv: int = 1,
    nextn: bool = False,
    needs_ff: bool = True,
    least_ff: int = 1,
    attends: bool = True,
    causal: bool | None = True,
    epsilon: str = RMS_EPSILON,
    default_epsilon: float | None = None,
) -> HParams:
    """Read the common hyper-parameters. Raises ModelFormatError or ModelUnsupportedError naming file and key.

    yarn_keys: as in read_rope; least_kv: as in read_heads. Without other knowledge no layer has a window, and
    experts are as wide as a dense layer. causal: whether tokens see none after them; None: as the file says.
    epsilon: the key of that of the norms. nextn: the last layers may predict later tokens. needs_ff: whether the
    file must state how wide a dense layer is; else 0 means that it does not. least_ff 0: layers may have no
    network. attends: whether any layer has heads. default_epsilon: where the file states none; None: it must.
    """
    keys = Keys(gguf, architecture)
    stated = gguf.get_bool(keys.name("attention.causal"), causal is not False)
    if causal is not None and stated != causal:
        raise ModelUnsupportedError(
            f"{gguf.path}: key '{keys.name('attention.causal')}': {str(stated).lower()} is not supported"
        )
    n_blocks = keys.whole("block_count", low=1, high=MAX_LAYERS)  # so many values do arrays have
    n_nextn = keys.whole("nextn_predict_layers", 0, low=0, high=n_blocks - 1) if nextn else 0
    n_layer = n_blocks - n_nextn
    n_embd = keys.whole("embedding_length", low=1, high=MAX_WIDTH)
    n_ctx_train = keys.whole("context_length", low=1, high=MAX_CONTEXT)
    no_heads = (HeadShape(0, 0, 1, 1, 2),) * n_blocks
    heads = (read_heads(keys, n_blocks, n_embd, least_kv=least_kv) if attends else no_heads)[:n_layer]
    n_expert, n_used = read_expert_counts(keys)
    dense = None if needs_ff else (0,) * n_blocks
    n_ff = keys.per_layer("feed_forward_length", n_blocks, dense, low=least_ff, high=MAX_FF)[:n_layer]
    rope = read_rope(keys, n_ctx_train, yarn_keys=yarn_keys)
    return HParams(
        architecture=architecture,
        n_vocab=read_vocab_size(gguf, keys),
        n_ctx_train=n_ctx_train,
        n_embd=n_embd,
        n_layer=n_layer,
        n_ff=n_ff,
        heads=heads,
        windows=(0,) * n_layer,
        rope=rope,
        rope_sliding=rope,
        norm_eps=read_epsilon(keys, epsilon, default_epsilon),
        experts=ExpertParams(n=n_expert, n_used=n_used, n_ff=n_ff) if n_expert else None,
        n_nextn=n_nextn,
        causal=stated,
        pooling=read_pooling(keys, causal=stated),
    )


def read_epsilon(keys: Keys, key: str = RMS_EPSILON, default: float | None = None) -> float:
    name = keys.name(key)
    if default is not None and name not in keys.gguf.metadata_types:
        return default
    value = keys.gguf.require_float(name)
    if not 0 < value <= 1:
        keys.gguf.fail(name, f"{value:g} is not above 0 and at most 1")
    return value
