"""Rows of weights on which quantisers are compared, the same in every run, and the types they are compared for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oxillama.core import _core

Floats = npt.NDArray[np.float32]
N_ROWS, N_COLS = 24, 1024
KINDS = ("gaussian", "student", "laplace", "outliers")
NUMBERS = {name: number for number, (name, _, _) in _core.tensor_types().items()}
# Every block format with a quantiser.
FLOATS = ("F32", "F16", "BF16")
TYPES = [name for name, n in NUMBERS.items() if n in _core.quantizable_types() and name not in FLOATS]


def rows(kind: str, n_rows: int = N_ROWS) -> Floats:
    """Weights [n_rows, N_COLS] with a spread of about 0.02; "outliers": every 97th column is ten times as large."""
    rng = np.random.default_rng(5)
    shape = (n_rows, N_COLS)
    match kind:
        case "student":
            x = rng.standard_t(3, shape)
        case "laplace":
            x = rng.laplace(size=shape)
        case _:
            x = rng.standard_normal(shape)
    if kind == "outliers":
        x[:, ::97] *= 10
    return np.ascontiguousarray(x * 0.02, np.float32)


def importance() -> Floats:
    """The importance of each column, over four orders of magnitude, like squares of activations."""
    rng = np.random.default_rng(6)
    return (rng.chisquare(1, N_COLS) * np.exp(rng.standard_normal(N_COLS))).astype(np.float32)


def decoded(name: str, raw: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> Floats:
    return _core.dequantize(NUMBERS[name], raw, int(np.prod(shape))).reshape(shape)


def error(x: Floats, back: Floats, weight: Floats | None = None) -> float:
    """Root-mean-square error relative to the weights' own root mean square; columns count by `weight`."""
    w = np.ones(x.shape[1]) if weight is None else weight.astype(np.float64)
    return float(np.sqrt(np.sum(w * (back.astype(np.float64) - x) ** 2) / np.sum(w * x.astype(np.float64) ** 2)))


def ours(name: str, x: Floats, weight: Floats | None = None) -> float:
    return error(x, decoded(name, _core.Quantizer(NUMBERS[name]).rows(x, weight), x.shape), weight)
