"""How much each column matters where nobody measured it: guessed from the weights.

What a rounding error costs grows with the square of the input it is multiplied with. In trained models a few channels
carry inputs many times larger than the rest, and matrices that pass their input on without a gate learn small weights
there: attn_v and ffn_up hold their smallest columns where inputs are largest. The columns' mean squares are therefore
read backwards, and matrices with the same input (attn_q and attn_k, ffn_gate) share the guess. docs/quantize.md says
what that gains; inputs of attn_output and ffn_down leave no such trace, and count alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from oxillama.core._core import dequantize
from oxillama.quant.mixes import split_name

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.quant.importance import Floats

# Whose columns tell what comes in, for every matrix that reads the same input.
_TELLTALE = {
    "attn_q": "attn_v", "attn_k": "attn_v", "attn_v": "attn_v", "ffn_gate": "ffn_up", "ffn_up": "ffn_up",
    "ffn_gate_exps": "ffn_up_exps", "ffn_up_exps": "ffn_up_exps",
    "ffn_gate_shexp": "ffn_up_shexp", "ffn_up_shexp": "ffn_up_shexp",
}  # fmt: skip
# So many rows, evenly spaced, tell a column's mean square to a tenth, at a cost that large models do not notice.
SAMPLED_ROWS = 256
# Added to a column's share of the mean square: no column counts more than a hundred times an average one.
FLOOR = 0.01


def guessed(file: GGUFFile, name: str) -> Floats | None:
    """How much each column of a matrix matters, [columns] without a unit; None: nothing tells.

    The sums are taken row by row in double precision, so that every machine gives the same bits.
    """
    layer, role = split_name(name)
    telltale = _TELLTALE.get(role.removesuffix(".weight"))
    info = file.tensors.get(f"blk.{layer}.{telltale}.weight") if layer is not None and telltale else None
    if info is None or info.shape[0] != file.tensors[name].shape[0]:
        return None
    n_cols = info.shape[0]
    n_rows = info.n_elements // n_cols
    chosen = np.arange(min(n_rows, SAMPLED_ROWS)) * n_rows // min(n_rows, SAMPLED_ROWS)
    encoded = file.raw(info.name).reshape(n_rows, -1)[chosen]
    total = np.zeros(n_cols)
    for row in dequantize(info.type, encoded.reshape(-1), encoded.shape[0] * n_cols).reshape(-1, n_cols):
        total += np.square(row, dtype=np.float64)
    mean = math.fsum(total) / n_cols
    if not 0 < mean < math.inf:
        return None
    return (1.0 / (total / mean + FLOOR)).astype(np.float32)
