"""Rotary position embedding: per-dimension frequencies and the magnitude of the rotation, for all ways of scaling it.

A token at position p rotates pair i of its rotated dimensions by p * frequency[i].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oxillama.models.graph.ops import Float32

Float64 = npt.NDArray[np.float64]
SCALINGS = ("none", "linear", "yarn", "longrope")


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeScaling:
    """base: of the geometric series of frequencies. kind: one of SCALINGS. factor: how many times longer the context is
    than the original one, original_ctx tokens; attention_factor multiplies the magnitude. The rest is YaRN's."""

    base: float = 10000.0
    kind: str = "none"
    factor: float = 1.0
    original_ctx: int = 0
    attention_factor: float = 1.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    log_multiplier: float = 0.0


def frequencies(scaling: RopeScaling, n_rot: int, factors: Float32 | None = None) -> Float32:
    """Radians per position of each rotated pair [n_rot / 2]. `factors`: the file's own divisors of them."""
    pairs = np.arange(n_rot // 2)
    own = np.power(float(scaling.base), -2.0 * pairs / n_rot)
    if factors is not None:
        own = own / factors
    if scaling.kind == "none":
        return own.astype(np.float32)
    stretched = own / scaling.factor
    if scaling.kind == "yarn":
        keep = _yarn_ramp(scaling, n_rot)
        stretched = stretched * (1 - keep) + own * keep
    return stretched.astype(np.float32)


def _yarn_ramp(scaling: RopeScaling, n_rot: int) -> Float64:
    """How much of its own frequency each pair keeps: 1 for those that turn often within the original context, 0 for
    those that turn less than once (Peng et al., "YaRN", 2023, section 3.2)."""

    def pair_that_turns(n_turns: float) -> float:
        return n_rot * math.log(scaling.original_ctx / (n_turns * 2 * math.pi)) / (2 * math.log(scaling.base))

    low = max(0, math.floor(pair_that_turns(scaling.beta_fast)))
    high = min(n_rot - 1, math.ceil(pair_that_turns(scaling.beta_slow)))
    ramp: Float64 = (np.arange(n_rot // 2) - low) / max(0.001, high - low)
    return 1.0 - np.minimum(1.0, np.maximum(0.0, ramp))


def magnitude(scaling: RopeScaling) -> float:
    """What the rotated values are multiplied with; YaRN makes attention sharper in longer contexts (section 3.4)."""
    if scaling.kind != "yarn":
        return scaling.attention_factor

    def sharpening(multiplier: float) -> float:
        return 1.0 if scaling.factor <= 1 else 0.1 * multiplier * math.log(scaling.factor) + 1.0

    divisor = sharpening(scaling.log_multiplier) if scaling.log_multiplier else 1.0
    return sharpening(1.0) / divisor * scaling.attention_factor
