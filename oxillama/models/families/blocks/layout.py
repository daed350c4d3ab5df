"""What the blocks of an architecture are made of, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from oxillama.models.params.common import HParams
from oxillama.models.params.keys import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Factors of the embeddings, of what a block adds to the stream, of the scores (0: 1 / sqrt(columns of a head)) and
    of the logits."""

    embedding: float = 1.0
    residual: float = 1.0
    attention: float = 0.0
    logit: float = 1.0
    score_cap: float = 0.0
    logit_cap: float = 0.0


def unscaled(keys: Keys, hparams: HParams) -> Scales:
    """No factors at all."""
    return Scales()


@dataclass(frozen=True, slots=True, kw_only=True)
class Norms:
    """Names of a block's norms, without "blk.N."; None: there is no norm at this place.

    weighted: whether they have weights at all. attention_2: the norm that attention reads instead, where the file
    has it. attention_output, ffn_down: norms just before these matrices. ffn_optional: a block without that norm
    runs its network beside attention, on the same input.
    """

    kind: Literal["rms", "layer"] = "rms"
    weighted: bool = True
    attention: str | None = "attn_norm"
    attention_2: str | None = None
    after_attention: str | None = None
    ffn: str | None = "ffn_norm"
    ffn_optional: bool = False
    after_ffn: str | None = None
    attention_output: str | None = None
    ffn_down: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadNorms:
    """Norms of queries and keys, "attn_q_norm" and "attn_k_norm".

    over: "head": the heads share one head's weights; "each": every head has its own; "whole": all heads are one row.
    required: whether every file has them. after_rotation: they come after it, not before.
    """

    over: Literal["head", "each", "whole"] = "head"
    kind: Literal["rms", "layer"] = "rms"
    required: bool = True
    after_rotation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Rotary positions. factors: the file may divide the frequencies ("rope_freqs", or longrope's two tensors).

    sections: the pairs share several coordinates (M-RoPE), and are halves: in "runs" of pairs, or "interleaved".
    unrotated (n, k): layers i with i mod n = k are not rotated. only_windows: in a model with windows other layers
    are not rotated. halved: layers without a window rotate half of their columns, with the factors alone. switched:
    not at all if the file says that the scaling is not fine-tuned.
    """

    kind: Literal["pairs", "halves"] = "halves"
    factors: bool = False
    sections: Literal["runs", "interleaved"] | None = None
    sections_required: bool = False
    unrotated: tuple[int, int] | None = None
    only_windows: bool = False
    only_layers: int = 0
    halved: bool = False
    switched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Layers with a window. only_layers: models with another number of layers have none; 0: that does not matter.
    full_every: which layers see everything where the file does not say (0: it must say).

    full_first: the first of so many layers, not the last. fixed: the default is the window whatever the file says,
    unless that is 0. default: the window where the file states none; 0: then there is none. stretched: whether
    layers with a window rotate as far as the others, or without what stretches the model to longer contexts. base:
    of their rotation where the file does not state it; 0: that of the other layers.
    """

    full_every: int
    default: int = 0
    only_layers: int = 0
    full_first: bool = False
    fixed: bool = False
    stretched: bool = True
    base: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Experts in the layers that have a router.

    gating: how scores become weights; stated: unless the file says. normalize None: as the file says. shared: an
    expert for every token: "plain" or with a gate of its own for the whole row ("gated"). per_used: the width of a
    dense network is that of all used experts together. limited: "swiglu_clamp_exp" and "swiglu_clamp_shexp" bound
    the values inside experts and dense networks, as oxi_limited says. router: what it reads: the network's input or
    the block's. weigh_first: weights multiply what experts read. beside: a dense network stands beside the experts,
    and both count half. always_shared: there is a shared expert, as wide as another, where the file does not say.
    idle: layers that have experts and do not use them, as the reference runs them: all, or those that
    "interleave_moe_layer_step" leaves out. scaled: whether to use the ".scale" beside a matrix, or to ignore it.
    """

    gating: str = "softmax"
    stated: bool = False
    normalize: bool | None = True
    shared: Literal["plain", "gated"] | None = None
    per_used: bool = False
    fn: str = "silu"
    gated: bool = True
    scaled: bool = False
    limited: Literal["not", "gate", "activation"] = "not"
    router: Literal["normed", "stream"] = "normed"
    beside: bool = False
    weigh_first: bool = False
    always_shared: bool = False
    idle: Literal["all", "stepped"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One architecture. The defaults are llama's block.

    parallel: attention and network read the same stream and are added together: "same": they share attention's
    norm; "own": the network has its own; "stated": as the file's "use_parallel_residual" says. ffn: "gated";
    "plain": without a gate; "fused": gated, and the gate's rows come first in the matrix "ffn_up". ff_parts: into
    how many parts the file's width of the network is divided. gate: the function of "attn_gate", which multiplies
    what the heads found, if the file has it: column by column, or head by head. clamped: queries, keys and values
    lie within "attention.clamp_kqv". state_space: Mamba-2's scan: "instead" of attention in layers without key
    heads; "beside" it in every layer; "single": a layer is a scan, attention or a network; "only": there is nothing
    else. sinks: attention has a score of its own for nothing. positions: a learned row for each position. alibi:
    scores fall with distance, at most by this slope; "stated": as the file says. alibi_layers: only in models with
    so many layers, which are then not rotated. epsilon: of the norms where the file states none. qkv_scaled,
    ffn_scaled: whether to use the ".scale" beside these matrices, or to ignore it. output_biased, ffn_biased,
    logits_biased: the same for biases after attention, of the network and of the logits. ignored: tensors that
    files may have and that have no part in the computation; those of a block without "blk.N.".
    """

    norms: Norms = Norms()
    head_norms: HeadNorms | None = None
    rotation: Rotation | None = Rotation()
    windows: Windows | None = None
    mixture: Mixture | None = None
    scales: Callable[[Keys, HParams], Scales] = unscaled
    parallel: Literal["same", "own", "stated"] | None = None
    ffn: Literal["gated", "plain", "fused"] = "gated"
    fn: str = "silu"
    ff_parts: int = 1
    ffn_scaled: bool = False
    ffn_biased: bool = True
    qkv_scaled: bool = True
    output_biased: bool = True
    logits_biased: bool = True
    gate: str | None = None
    clamped: Literal["required", "optional"] | None = None
    state_space: Literal["instead", "beside", "single", "only"] | None = None
    sinks: bool = False
    positions: Literal["required", "optional"] | None = None
    embedding_norm: bool = False
    alibi: float | Literal["stated"] = 0.0
    alibi_layers: int = 0
    epsilon: float | None = None
    ignored: tuple[str, ...] = ()
    yarn_keys: bool = False
