"""Blocks of every quantised type. They are made from random bytes, not from weights, so every code can occur."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oxillama.core import _core

NUMBERS = {name: number for number, (name, _, size) in _core.tensor_types().items() if size}
# The offsets of a block's half-precision scale and minimum.
HALVES = {
    **dict.fromkeys(["Q4_0", "Q5_0", "Q8_0", "IQ4_NL", "IQ4_XS", "IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S"], (0,)),
    **dict.fromkeys(["IQ3_XXS", "IQ3_S", "Q1_0", "Q2_0", "Q8_1"], (0,)),
    **dict.fromkeys(["Q4_1", "Q5_1", "Q4_K", "Q5_K"], (0, 2)),
    **{"Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,), "TQ1_0": (52,), "TQ2_0": (64,)},
}


def with_scales(name: str, blocks: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """`blocks` [n, bytes] with their scales replaced by `scales` [n, 2]; scales stored in single bytes are bounded."""
    halves = scales.astype("<f2").view(np.uint8).reshape(len(blocks), 2, 2)
    for i, at in enumerate(HALVES.get(name, ())):
        blocks[:, at : at + 2] = halves[:, i]
    if name == "Q8_K":
        blocks[:, :4] = scales[:, :1].astype("<f4").view(np.uint8)
    if name == "MXFP4":
        blocks[:, 0] = 118 + blocks[:, 0] % 8
    if name == "NVFP4":
        blocks[:, :4] = blocks[:, :4] % 40 + 8 * (blocks[:, :4] % 2)
    if name == "IQ1_M":  # a nibble of the half in each of four words
        half = halves[:, 0].copy().view("<u2")[:, 0]
        for i in range(4):
            blocks[:, 49 + 2 * i] = blocks[:, 49 + 2 * i] & 15 | (half >> 4 * i & 15) << 4
    return blocks


def random_matrix(name: str, n_rows: int, n_cols: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """The bytes of a matrix of random codes with scales of about ±0.01."""
    number = NUMBERS[name]
    _, block, size = _core.tensor_types()[number]
    rng = np.random.default_rng([seed, number, n_rows, n_cols])
    n = n_rows * n_cols // block
    scales = rng.uniform(0.005, 0.015, (n, 2)) * rng.choice([-1, 1], (n, 2))
    return with_scales(name, rng.integers(0, 256, (n, size), dtype=np.uint8), scales.astype(np.float32)).ravel()


def gaussian_matrix(name: str, n_rows: int, n_cols: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """The bytes of a matrix of Gaussian weights with variance 1/n_cols. Its blocks are drawn from a small set."""
    _, block, size = _core.tensor_types()[NUMBERS[name]]
    rng = np.random.default_rng([seed, n_rows, n_cols])
    weights = rng.normal(0, n_cols**-0.5, (max(64, 8192 // block), block)).astype(np.float32)
    if name in ("Q8_1", "Q8_K"):  # types of activations, which have no quantiser for weights
        d = np.abs(weights).max(axis=1, keepdims=True) / 127
        d = d.astype("<f4" if name == "Q8_K" else "<f2")
        codes = np.rint(weights / d).clip(-127, 127).astype(np.int8).view(np.uint8)
        head = d.view(np.uint8) if name == "Q8_K" else np.pad(d.view(np.uint8), ((0, 0), (0, 2)))
        blocks = np.pad(np.hstack([head, codes]), ((0, 0), (0, size - head.shape[1] - block)))
    else:
        blocks = np.frombuffer(_core.quantize(NUMBERS[name], weights.ravel()), np.uint8).reshape(-1, size)
    return blocks[rng.integers(0, len(blocks), n_rows * n_cols // block)].ravel()
