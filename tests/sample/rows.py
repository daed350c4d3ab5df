"""Rows of logits made from integers, so that every platform has the same ones."""

from __future__ import annotations

import numpy as np

KINDS = ("flat", "peaked", "ties", "nan", "infinite", "excluded")


def row(kind: str, n: int, seed: int) -> np.ndarray:
    """Logits [n]: sums of four uniform numbers, and what `kind` says beside them."""
    state = np.arange(1, 4 * n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    state ^= state >> np.uint64(31)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    uniform = (state >> np.uint64(48)).reshape(n, 4).astype(np.int64)
    x: np.ndarray = ((uniform.sum(axis=1) - 131_070) / (8192 if kind == "peaked" else 32_768)).astype(np.float32)
    picked = uniform[:, 0] % 5 == 0
    if kind == "ties":
        x = np.floor(x * 2)
    elif kind == "nan":
        x[picked] = np.nan
    elif kind == "infinite":
        x[uniform[:, 0].argmin()] = np.inf
    elif kind == "excluded":
        x[picked] = -np.inf
    return x
