"""Where the factors of an architecture's blocks come from."""

from __future__ import annotations

import math

from oxillama.models.families.blocks.layout import Scales
from oxillama.models.params.common import HParams
from oxillama.models.params.keys import Keys

LARGEST = 1e6
LEAST_DIVISOR = 1e-6
LEAST_CAP = 1e-3  # a smaller bound leaves nothing of scores or logits


def by_width(keys: Keys, hparams: HParams) -> Scales:
    """Embeddings are multiplied by the root of their columns."""
    return Scales(embedding=math.sqrt(hparams.n_embd))


def attention(keys: Keys, hparams: HParams) -> Scales:
    """Scores may have a factor of the file's."""
    return Scales(attention=_read(keys, "attention.scale", 0.0))


def by_head_width(keys: Keys, hparams: HParams) -> Scales:
    """Scores are divided by the columns of a head, not by their root."""
    return Scales(attention=1 / hparams.heads[0].key_dim)


def logits(keys: Keys, hparams: HParams) -> Scales:
    """Logits are multiplied by the file's factor."""
    return Scales(logit=_read(keys, "logit_scale", 0.0) or 1.0)


def granite(keys: Keys, hparams: HParams) -> Scales:
    """Four factors, of which logits are divided by theirs. 0 means 1."""
    return Scales(
        embedding=_read(keys, "embedding_scale", 0.0) or 1.0,
        residual=_read(keys, "residual_scale", 0.0) or 1.0,
        attention=_read(keys, "attention.scale", 0.0),
        logit=1 / _divisor(keys, 1.0),
    )


def grok(keys: Keys, hparams: HParams) -> Scales:
    """Factors and caps with the defaults of older files."""
    return Scales(
        embedding=_read(keys, "embedding_scale", 78.38367176906169),
        attention=_read(keys, "attention.output_scale", 0.08838834764831845),
        logit=_read(keys, "logit_scale", 0.5773502691896257),
        score_cap=_cap(keys, "attn_logit_softcapping", 30.0),
        logit_cap=_cap(keys, "final_logit_softcapping", 0.0),
    )


def minicpm(keys: Keys, hparams: HParams) -> Scales:
    """Granite's, with defaults of older files (Hu et al., "MiniCPM", 2024)."""
    return Scales(
        embedding=_read(keys, "embedding_scale", 12.0) or 1.0,
        residual=_read(keys, "residual_scale", 1.4 / math.sqrt(hparams.n_layer)) or 1.0,
        logit=1 / _divisor(keys, 256 / hparams.n_embd),
    )


def _read(keys: Keys, key: str, default: float) -> float:
    return keys.number(key, default, low=-LARGEST, high=LARGEST)


def _cap(keys: Keys, key: str, default: float) -> float:
    """The bound of a soft cap; 0: none."""
    cap = keys.number(key, default, low=0.0, high=LARGEST)
    if 0 < cap < LEAST_CAP:
        keys.gguf.fail(keys.name(key), f"{cap:g} is neither 0 nor at least {LEAST_CAP:g}")
    return cap


def _divisor(keys: Keys, default: float) -> float:
    value = _read(keys, "logit_scale", default)
    if abs(value) < LEAST_DIVISOR:
        keys.gguf.fail(keys.name("logit_scale"), f"is {value:g}, and logits are divided by it")
    return value
