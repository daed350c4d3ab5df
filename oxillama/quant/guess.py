"""The importance of each column where it was not measured: guessed from the weights.

The cost of a rounding error grows with the square of the input that multiplies it. In trained models a few channels
carry inputs many times larger than the rest, and the weights show which.

Matrices that pass their input on without a gate learn small weights there: attn_v and ffn_up hold their smallest
columns where inputs are largest. So the columns' mean squares count inversely, and matrices with the same
input (attn_q and attn_k, ffn_gate) share the guess.

ffn_down's inputs are products of a gate and a value. The few units whose rows of ffn_gate and ffn_up are both long give
values a hundred times those of others, on which attention comes to rest.

docs/quantize.md gives the gain. Inputs of attn_output leave no such trace, so its columns count equally.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.core._core import dequantize
from oxillama.quant.mixes import split_name

if TYPE_CHECKING:
    from oxillama.core._core import TensorInfo
    from oxillama.gguf import GGUFFile
    from oxillama.quant.importance import Floats

# For every matrix: the matrix with the same input whose columns reveal that input.
_TELLTALE = {
    "attn_q": "attn_v", "attn_k": "attn_v", "attn_v": "attn_v", "ffn_gate": "ffn_up", "ffn_up": "ffn_up",
    "ffn_gate_exps": "ffn_up_exps", "ffn_up_exps": "ffn_up_exps",
    "ffn_gate_shexp": "ffn_up_shexp", "ffn_up_shexp": "ffn_up_shexp",
}  # fmt: skip
# The matrices whose rows produce the input.
_MAKERS = {f"ffn_down{kind}": (f"ffn_gate{kind}", f"ffn_up{kind}") for kind in ("", "_exps", "_shexp")}
# This many rows, evenly spaced, give a column's mean square to a tenth, at a negligible cost for large models.
SAMPLED_ROWS = 256
# Added to a column's share of the mean square: no column counts more than a hundred times an average one.
FLOOR = 0.01
# From this multiple of the mean product on, a unit counts more than others; below it the product says nothing.
SPIKE = 4.0
PIECE_ROWS = 256


def guessed(file: GGUFFile, name: str) -> Floats | None:
    """The importance of a matrix's columns, [experts, columns], without a unit; None: the weights do not show it."""
    layer, role = split_name(name)
    if layer is None:
        return None
    kind = role.removesuffix(".weight")
    info, prefix = file.tensors[name], f"blk.{layer}."
    experts = info.shape[2] if len(info.shape) > 2 else 1
    if kind in _TELLTALE:
        telltale = file.tensors.get(f"{prefix}{_TELLTALE[kind]}.weight")
        if telltale is None or telltale.shape[0] != info.shape[0]:
            return None
        columns = _by_columns(file, telltale)
        return None if columns is None else np.broadcast_to(columns, (experts, info.shape[0]))
    makers = [file.tensors.get(f"{prefix}{maker}.weight") for maker in _MAKERS.get(kind, ())]
    gate, value = makers if len(makers) == 2 else (None, None)
    if gate is None or value is None or not _rows(gate) == _rows(value) == experts * info.shape[0]:
        return None
    return _by_rows(file, gate, value, experts)


def _rows(info: TensorInfo) -> int:
    return info.n_elements // info.shape[0]


def _by_columns(file: GGUFFile, info: TensorInfo) -> Floats | None:
    """From the columns of `info`. Sums run row by row in double precision, so every machine gives the same bits."""
    n_cols, n_rows = info.shape[0], _rows(info)
    chosen = np.arange(min(n_rows, SAMPLED_ROWS)) * n_rows // min(n_rows, SAMPLED_ROWS)
    encoded = file.raw(info.name).reshape(n_rows, -1)[chosen]
    total = np.zeros(n_cols)
    for row in dequantize(info.type, encoded.reshape(-1), len(chosen) * n_cols).reshape(-1, n_cols):
        total += np.square(row, dtype=np.float64)
    mean = math.fsum(total) / n_cols
    if not 0 < mean < math.inf:
        return None
    return (1.0 / (total / mean + FLOOR)).astype(np.float32)


def _by_rows(file: GGUFFile, gate: TensorInfo, value: TensorInfo, experts: int) -> Floats | None:
    """The square of a unit's product of squared lengths, in units of SPIKE times the mean, rounded to a power of two:
    NumPy's order of summation depends on the machine, and the last bits must not show."""
    product = (_squared_lengths(file, gate) * _squared_lengths(file, value)).reshape(experts, -1)
    mean = np.array([math.fsum(unit) for unit in product])[:, None] / product.shape[1]
    if not ((mean > 0) & (mean < math.inf)).all():
        return None
    _, exponent = np.frexp(np.square(product / mean / SPIKE))
    return np.ldexp(np.float32(1), np.maximum(exponent, 0)).astype(np.float32)


def _squared_lengths(file: GGUFFile, info: TensorInfo) -> npt.NDArray[np.float64]:
    """The squared length of every row, a few rows at a time."""
    n_cols, n_rows = info.shape[0], _rows(info)
    raw = file.raw(info.name).reshape(n_rows, -1)
    found = np.empty(n_rows)
    for at in range(0, n_rows, PIECE_ROWS):
        encoded = raw[at : at + PIECE_ROWS]
        rows = dequantize(info.type, encoded.reshape(-1), len(encoded) * n_cols).reshape(-1, n_cols).astype(np.float64)
        found[at : at + PIECE_ROWS] = np.einsum("ij,ij->i", rows, rows)
    return found
