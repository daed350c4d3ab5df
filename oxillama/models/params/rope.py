"""Rotary position embedding: its parameters in the file, and the frequencies and magnitude that follow from them.

A token at position p rotates pair i of its rotated dimensions by p * frequency[i].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from oxillama.errors import ModelUnsupportedError
from oxillama.models.params.keys import MAX_CONTEXT, Keys
from oxillama.models.tensors import Vector

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
SCALINGS = ("none", "linear", "yarn", "longrope")
LEAST_BASE = 1.001  # the frequencies must fall, so the base must exceed 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeScaling:
    """base: of the geometric series of frequencies. kind: one of SCALINGS. factor: the context's length relative to the
    original one of original_ctx tokens. attention_factor multiplies the magnitude. The rest belongs to YaRN."""

    base: float = 10000.0
    kind: str = "none"
    factor: float = 1.0
    original_ctx: int = 0
    attention_factor: float = 1.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    log_multiplier: float = 0.0


def read_rope(keys: Keys, n_ctx_train: int, *, yarn_keys: bool = False) -> RopeScaling:
    """yarn_keys: whether the architecture reads YaRN's tuning parameters from the file."""
    gguf = keys.gguf
    kind = gguf.get_str(keys.name("rope.scaling.type"), "linear")
    if kind not in SCALINGS:
        raise ModelUnsupportedError(
            f"{gguf.path}: key '{keys.name('rope.scaling.type')}': {kind[:40]!r} is not one of {', '.join(SCALINGS)}"
        )
    factor = keys.number("rope.scaling.factor", 0.0, low=0.0, high=1e6)
    factor = factor or keys.number("rope.scale_linear", 0.0, low=0.0, high=1e6) or 1.0  # the older name
    if kind == "linear" and factor == 1.0:
        kind = "none"  # the same as a file that names no scaling
    options = {}
    if yarn_keys:
        options = {
            "beta_fast": keys.number("rope.scaling.yarn_beta_fast", 32.0, low=1e-3, high=1e6),
            "beta_slow": keys.number("rope.scaling.yarn_beta_slow", 1.0, low=1e-3, high=1e6),
            "log_multiplier": keys.number("rope.scaling.yarn_log_multiplier", 0.0, low=-100.0, high=100.0),
        }
    return RopeScaling(
        base=keys.number("rope.freq_base", 10000.0, low=LEAST_BASE, high=1e30),
        kind=kind,
        factor=factor,
        original_ctx=keys.whole("rope.scaling.original_context_length", n_ctx_train, low=1, high=MAX_CONTEXT),
        attention_factor=keys.number("rope.scaling.attn_factor", 1.0, low=1e-6, high=1e6),
        **options,
    )


def unscaled(scaling: RopeScaling, base: float) -> RopeScaling:
    """The same rotation with another base, and without what stretches it to longer contexts."""
    return replace(scaling, base=base, kind="none", factor=1.0)


def read_sliding_base(keys: Keys, default: float) -> float:
    """The base of layers with a window."""
    return keys.number("rope.freq_base_swa", default, low=LEAST_BASE, high=1e30)


def frequencies(scaling: RopeScaling, n_rot: int, factors: Float32 | None = None) -> Float32:
    """Radians per position of each rotated pair [n_rot / 2]. `factors`: the file's divisors for them.

    Raises ValueError if the factors or the scaling give a number that is not finite.
    """
    with np.errstate(all="ignore"):
        found = _frequencies(scaling, n_rot, factors)
    if not np.isfinite(found).all():
        bad = int(np.flatnonzero(~np.isfinite(found))[0])
        cause = f"divided by its factor {factors[bad]:g}" if factors is not None else f"scaled by {scaling.factor:g}"
        raise ValueError(f"rope frequency {bad}, {cause}, is not a finite number")
    return found


def _frequencies(scaling: RopeScaling, n_rot: int, factors: Float32 | None) -> Float32:
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
    """The share of its own frequency that each pair keeps: 1 for pairs that turn often within the original context,
    0 for pairs that turn less than once (Peng et al., "YaRN", 2023, section 3.2)."""

    def pair_that_turns(n_turns: float) -> float:
        return n_rot * math.log(scaling.original_ctx / (n_turns * 2 * math.pi)) / (2 * math.log(scaling.base))

    low = max(0, math.floor(pair_that_turns(scaling.beta_fast)))
    high = min(n_rot - 1, math.ceil(pair_that_turns(scaling.beta_slow)))
    ramp: Float64 = (np.arange(n_rot // 2) - low) / max(0.001, high - low)
    return 1.0 - np.minimum(1.0, np.maximum(0.0, ramp))


def magnitude(scaling: RopeScaling) -> float:
    """The factor for rotated values; YaRN makes attention sharper in longer contexts (section 3.4).

    Raises ValueError if the scaling gives a number that is not finite.
    """
    if scaling.kind != "yarn":
        return scaling.attention_factor

    def sharpening(multiplier: float) -> float:
        return 1.0 if scaling.factor <= 1 else 0.1 * multiplier * math.log(scaling.factor) + 1.0

    divisor = sharpening(scaling.log_multiplier) if scaling.log_multiplier else 1.0
    if divisor == 0:
        raise ValueError(f"a YaRN log multiplier of {scaling.log_multiplier:g} leaves nothing of the rotated values")
    return sharpening(1.0) / divisor * scaling.attention_factor


def read_sections(keys: Keys, n_rot: int) -> tuple[int, ...]:
    """Pairs of columns that rotate by each of four coordinates: time, height, width and one more (M-RoPE)."""
    name = keys.name("rope.dimension_sections")
    sections = tuple(int(n) for n in keys.gguf.require_array(name, kind="integer", length=4))
    if min(sections) < 0 or not 1 <= sum(sections) <= n_rot:
        keys.gguf.fail(name, f"holds {list(sections)}, which do not share the {n_rot} rotated dimensions")
    return sections


def unrotated_in_text(sections: tuple[int, ...], n_rot: int, *, interleaved: bool = True) -> Vector | None:
    """Divisors that stop the pairs of M-RoPE which rotate by the fourth coordinate.

    In text the first three coordinates are the position and the fourth is 0. Interleaved: of every three pairs the
    first rotates by time, the second by height and the third by width, each as long as its section lasts. Else the
    sections are runs of pairs. None: no pair is stopped.
    """
    pairs = np.arange(n_rot // 2) % sum(sections)
    stopped = pairs >= 3 * np.array(sections)[pairs % 3] if interleaved else pairs >= sum(sections[:3])
    if not stopped.any():
        return None
    return Vector(len(pairs), lambda: np.where(stopped, np.float32(1e30), np.float32(1)))
