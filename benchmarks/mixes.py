"""Which type each tensor of a quantised file has, as llama-quantize chooses it without an importance matrix.

A mix keeps the tensors that suffer most (attn_v, ffn_down, the output matrix) at more bits, some of them only in the
layers where it shows. Rules for dense models of the llama kind.
"""

from __future__ import annotations

from shapes import Shape, Tensor

# mix: (base type, type of attn_v and ffn_down in the layers that get more, type of the output matrix)
BASE = {"Q2_K": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K", "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K",
        "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K"}  # fmt: skip
PLAIN = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K")
NAMES = (*PLAIN, *BASE)

BLOCK_256 = {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"}
# What takes a type's place where the columns are no multiple of 256.
FALLBACK = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


def type_of(mix: str, tensor: Tensor, shape: Shape) -> str:
    """The name of the type `tensor` gets in a file quantised as `mix`."""
    if not tensor.is_matrix:
        return "F32"
    chosen = _wanted(mix, tensor, shape)
    if chosen in BLOCK_256 and tensor.shape[0] % 256:
        chosen = FALLBACK[chosen]
    if chosen.startswith("Q") and tensor.shape[0] % 32:
        chosen = "F16"
    return chosen


def _wanted(mix: str, tensor: Tensor, shape: Shape) -> str:
    base = BASE.get(mix, mix)
    if tensor.name == "output.weight" or (shape.tied and tensor.name == "token_embd.weight"):
        return base if base in ("F32", "F16", "BF16", "Q8_0") else "Q6_K"
    if mix not in BASE or tensor.layer is None:
        return base
    layer, n = tensor.layer, shape.n_layer
    grouped = shape.n_head // shape.n_head_kv >= 4
    match mix, tensor.role:
        case (("Q4_K_M" | "Q5_K_M"), ("attn_v.weight" | "ffn_down.weight")) if _more_bits(layer, n):
            return "Q6_K"
        case "Q4_K_S", "attn_v.weight" if layer < 4:
            return "Q5_K"
        case "Q4_K_S", "ffn_down.weight" if layer < n // 8:
            return "Q5_K"
        case "Q3_K_M", "attn_v.weight":
            return "Q5_K" if layer < 2 else "Q4_K"
        case "Q3_K_M", "ffn_down.weight":
            return "Q5_K" if layer < n // 16 else "Q4_K"
        case "Q3_K_M", "attn_output.weight":
            return "Q4_K"
        case "Q3_K_L", ("attn_v.weight" | "ffn_down.weight" | "attn_output.weight"):
            return "Q5_K"
        case "Q2_K", "attn_v.weight":
            return "Q4_K" if grouped else "Q3_K"
        case "Q2_K", ("ffn_down.weight" | "attn_output.weight"):
            return "Q3_K"
    return base


def _more_bits(layer: int, n_layers: int) -> bool:
    """The first and last eighth of the layers, and every third between."""
    return layer < n_layers // 8 or layer >= 7 * n_layers // 8 or (layer - n_layers // 8) % 3 == 2
