"""Which type each tensor of a quantised file gets.

A mix keeps the tensors that suffer most (attn_v, ffn_down, the output matrix) at more bits, some of them only in the
layers where it shows. The rules are those that llama-quantize uses for these names, so a "Q4_K_M" has the
expected size and quality.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from oxillama.core._core import quantizable_types, tensor_types
from oxillama.models.describe import FILE_TYPES

# Mixes whose name is not their base type's.
BASE = {
    "Q2_K_S": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K", "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K",
    "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S", "IQ3_XS": "IQ3_S", "IQ3_M": "IQ3_S",
    "MXFP4_MOE": "MXFP4",
}  # fmt: skip
ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "MXFP4": "MXFP4_MOE"}

_BLOCKS = {name: block for name, block, _ in tensor_types().values()}
QUANTIZABLE = tuple(tensor_types()[number][0] for number in quantizable_types())
FLOATS = ("F32", "F16", "BF16")
# Values of general.file_type.
FILE_TYPE_NUMBERS = {name: number for number, name in FILE_TYPES.items()}
# Everything a file can be quantised as.
NAMES = tuple(name for name in FILE_TYPE_NUMBERS if BASE.get(name, name) in QUANTIZABLE)

# Replacement types for rows that are not a multiple of a block of 256; F16 replaces all other types.
_FALLBACK = {
    "Q2_K": "Q4_0", "Q3_K": "Q4_0", "TQ1_0": "Q4_0", "TQ2_0": "Q4_0", "Q2_0": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1",
    "Q6_K": "Q8_0", "IQ1_S": "IQ4_NL", "IQ1_M": "IQ4_NL", "IQ2_XXS": "IQ4_NL", "IQ2_XS": "IQ4_NL", "IQ2_S": "IQ4_NL",
    "IQ3_XXS": "IQ4_NL", "IQ3_S": "IQ4_NL", "IQ4_XS": "IQ4_NL",
}  # fmt: skip
# Types this small lose too much without knowing which columns matter.
_NEED_IMPORTANCE = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS"})
# Parts of the names of matrices that stay unchanged, being small or too sensitive.
_KEPT = (
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj",
    "ssm_conv1d", "shortconv.conv", "indexer.k_proj.weight", "indexer.q_proj.weight", "time_mix_first.weight",
    "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight",
    "time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight",
    "time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused",
    "attn_rel_b.weight", "position_embd", "token_types", "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos",
    ".patch_embd", ".patch_merger", "a.rvq.codebook", "mm.a.code_embd",
)  # fmt: skip
# The same for one architecture, and its matrices that never go below eight bits.
_GLM5_KEPT = (
    "hc_", "indexer.attn_q_b", "indexer.attn_k", "indexer.proj", "indexer_compressor_gate", "indexer_compressor_ape",
    "ssm_f_a.weight", "ssm_f_b.weight", "ssm_g_a.weight", "ssm_g_b.weight", "ssm_beta.weight", "attn_kv_a_mqa.weight",
    "attn_k_b.weight", "attn_v_b.weight",
)  # fmt: skip
_GLM5_EIGHT_BITS = ("attn_q_a", "attn_q_b", "nextn.eh_proj")


@dataclass(frozen=True, slots=True)
class Traits:
    """The facts about a model that the rules need. `layers`: for each role, the layers that have it, in order."""

    architecture: str = "llama"
    n_layer: int = 0
    grouping: int = 1  # query heads per key head
    n_expert: int = 0
    tied: bool = False  # the token embedding is the output matrix too
    layers: dict[str, list[int]] = field(default_factory=dict)

    @property
    def is_falcon(self) -> bool:
        """Falcon has its own rules, tuned on the earliest models."""
        return self.architecture == "falcon"

    @property
    def shares_values(self) -> bool:
        """Llama 70B, where eight heads share each value head."""
        return self.architecture == "llama" and self.n_layer == 80 and self.grouping == 8


def split_name(name: str) -> tuple[int | None, str]:
    """Layer and role: "blk.3.attn_v.weight" is (3, "attn_v.weight"), "output.weight" is (None, "output.weight")."""
    parts = name.split(".", 2)
    if len(parts) == 3 and parts[0] == "blk" and parts[1].isdecimal():
        return int(parts[1]), parts[2]
    return None, name


def layers_of(names: Iterable[str]) -> dict[str, list[int]]:
    """For each role, the layers that have it."""
    found: dict[str, list[int]] = {}
    for name in names:
        layer, role = split_name(name)
        if layer is not None:
            found.setdefault(role, []).append(layer)
    return {role: sorted(layers) for role, layers in found.items()}


def is_quantized(name: str, shape: tuple[int, ...], architecture: str = "") -> bool:
    """Whether a tensor is a matrix that quantising changes."""
    kept = _KEPT + _GLM5_KEPT if architecture == "glm5-next" else _KEPT
    return len(shape) > 1 and name.endswith("weight") and not any(part in name for part in kept)


def wants_importance(mix: str, name: str, type_name: str) -> bool:
    """Whether a tensor of this type loses too much without an importance matrix."""
    if name in ("token_embd.weight", "output.weight"):
        return False
    return type_name in _NEED_IMPORTANCE or (mix == "Q2_K_S" and type_name == "Q2_K")


def fitting(type_name: str, n_cols: int) -> str:
    """The type, or its replacement for rows that are not a multiple of its block."""
    if n_cols % _BLOCKS[type_name] == 0:
        return type_name
    replacement = _FALLBACK.get(type_name, "F16")
    return replacement if n_cols % _BLOCKS[replacement] == 0 else "F16"


def choose(mix: str, name: str, shape: tuple[int, ...], traits: Traits, *, importance: bool = False) -> str:
    """The type of a matrix (`is_quantized`) in a file quantised as `mix`, with or without an importance matrix."""
    base = BASE.get(mix, mix)
    if base in FLOATS:
        return base
    layer, role = split_name(name)
    if traits.architecture == "glm5-next" and any(part in name for part in _GLM5_EIGHT_BITS):
        return fitting("Q8_0", shape[0])
    if role == "output.weight" or (traits.tied and role == "token_embd.weight"):
        return fitting(_output(mix, base, shape[0], traits), shape[0])
    if mix == "MXFP4_MOE":
        # bailingmoe3's attention projections also have three dimensions.
        experts = len(shape) > 2 and shape[2] > 1 and (traits.architecture != "bailingmoe3" or role.startswith("ffn_"))
        return fitting("MXFP4" if experts else "Q8_0", shape[0])
    if role in ("token_embd.weight", "per_layer_token_embd.weight"):
        return fitting(_embedding(mix, base), shape[0])
    if layer is None:
        return fitting(base, shape[0])
    places = traits.layers.get(role, [])
    place = _Place(places.index(layer), len(places)) if layer in places else _Place(layer, traits.n_layer)
    return fitting(_in_layer(mix, base, role, place, traits, importance), shape[0])


@dataclass(frozen=True, slots=True)
class _Place:
    """A tensor's position among the tensors of its role."""

    index: int
    count: int

    def within_first(self, part: int) -> bool:
        return self.index < self.count // part

    @property
    def more_bits(self) -> bool:
        """True for the first and last eighth, and every third layer between."""
        return self.within_first(8) or self.index >= 7 * self.count // 8 or (self.index - self.count // 8) % 3 == 2


_SMALL = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M"})


def _output(mix: str, base: str, n_cols: int, traits: Traits) -> str:
    if mix == "MXFP4_MOE" or traits.is_falcon or n_cols % _BLOCKS[base]:
        return "Q8_0"
    if mix in _SMALL or mix == "IQ3_XXS":
        return "Q5_K"
    return "Q8_0" if base == "Q8_0" else "Q6_K"


def _embedding(mix: str, base: str) -> str:
    match mix:
        case "IQ1_S" | "IQ1_M" | "IQ2_XXS" | "IQ2_XS":
            return "Q2_K"
        case "IQ2_S" | "IQ2_M" | "IQ3_XXS":
            return "IQ3_S"
        case "TQ1_0" | "TQ2_0" | "Q2_0":
            return "Q4_K"
    return base


def _in_layer(mix: str, base: str, role: str, place: _Place, traits: Traits, importance: bool) -> str:
    kind = role.removesuffix(".weight")
    if mix in _SMALL:
        return _small(mix, base, kind, place, traits)
    if kind in ("attn_v", "attn_qkv", "attn_kv_b"):
        return _values(mix, base, kind, place, traits, importance)
    if kind.startswith("ffn_down"):
        return _down(mix, base, place, traits, importance)
    if kind == "attn_output":
        return _attention_output(mix, base, traits)
    if kind in ("attn_k", "attn_q"):
        if kind == "attn_k" and traits.n_expert == 8:
            return "Q8_0"
        return {"IQ3_XS": "IQ3_XXS", "IQ3_XXS": "IQ2_S"}.get(mix, base)
    if kind.startswith(("ffn_gate", "ffn_up")) and mix == "IQ3_XS":
        middle = place.count // 8 <= place.index < 7 * place.count // 8
        return "IQ3_XXS" if middle else base
    return base


def _small(mix: str, base: str, kind: str, place: _Place, traits: Traits) -> str:
    """Mixes below three bits."""
    larger = "IQ3_S" if mix in ("IQ2_S", "IQ2_M") else "Q2_K"
    if kind in ("attn_v", "attn_qkv", "attn_kv_b"):
        return "Q4_K" if traits.grouping >= 4 or traits.n_expert >= 4 else larger
    if kind == "attn_k" and traits.n_expert == 8:
        return "Q4_K"
    if kind.startswith("ffn_down") and place.within_first(8):
        return larger
    if kind == "attn_output":
        if traits.n_expert == 8:
            return "Q5_K"
        return {"IQ1_S": "IQ2_XXS", "IQ1_M": "IQ2_XXS", "IQ2_S": "IQ3_S", "IQ2_M": "IQ3_S"}.get(mix, base)
    return base


def _values(mix: str, base: str, kind: str, place: _Place, traits: Traits, importance: bool) -> str:
    grouped = traits.grouping >= 4
    chosen = base
    match mix:
        case "Q2_K":
            chosen = "Q4_K" if grouped else "Q3_K"
        case "Q2_K_S" | "IQ3_XS" | "IQ3_S" if grouped:
            chosen = "Q4_K"
        case "IQ3_XXS":
            chosen = "Q4_K" if grouped else base if importance else "IQ3_S"
        case "IQ3_M":
            chosen = "Q4_K"
        case "Q3_K_M":
            chosen = "Q5_K" if place.index < 2 else "Q4_K"
        case "Q3_K_L":
            chosen = "Q5_K"
        case "IQ4_NL" | "IQ4_XS" if grouped:
            chosen = "Q5_K"
        case "Q4_K_M" | "Q5_K_M" if place.more_bits:
            chosen = "Q6_K"
        case "Q4_K_S" if place.index < 4:
            chosen = "Q5_K"
    if traits.shares_values and chosen in ("Q3_K", "Q4_K"):
        chosen = "Q5_K"
    return "Q8_0" if traits.n_expert == 8 else chosen


def _down(mix: str, base: str, place: _Place, traits: Traits, importance: bool) -> str:
    match mix:
        case "Q3_K_M" if traits.is_falcon and not (place.within_first(16) or place.more_bits):
            return "Q3_K"
        case "Q3_K_L" if traits.is_falcon:
            return "Q4_K"
        case "Q4_K_M" if traits.is_falcon:
            return "Q6_K" if place.within_first(16) else "Q5_K" if place.more_bits else "Q4_K"
        case "Q4_K_S" if traits.is_falcon:
            return base
        case "Q2_K":
            return "Q3_K"
        case "Q2_K_S" if place.within_first(8):
            return "Q4_K"
        case "IQ3_XXS" if not importance:
            return "Q4_K" if place.within_first(8) else "Q3_K"
        case "Q3_K_M":
            return "Q5_K" if place.within_first(16) else "Q4_K"
        case "IQ3_M" if place.within_first(8) or (traits.n_expert == 8 and place.more_bits):
            return "Q4_K"
        case "Q3_K_L":
            return "Q5_K"
        case "Q4_K_M" | "Q5_K_M" if place.more_bits:
            return "Q6_K"
        case "IQ4_NL" | "IQ4_XS" if place.within_first(8) and not importance:
            return "Q5_K"
        case "Q4_K_S" if place.within_first(8):
            return "Q5_K"
        case "Q4_0" if importance and place.within_first(8):
            return "Q4_1"
        case "Q5_0" if importance and place.within_first(8):
            return "Q5_1"
    return base


def _attention_output(mix: str, base: str, traits: Traits) -> str:
    if traits.is_falcon:
        return "Q4_K" if mix == "Q3_K_L" else base
    if traits.n_expert == 8:
        raised = {
            "Q2_K",
            "IQ3_XS",
            "IQ3_XXS",
            "Q3_K_S",
            "Q3_K_M",
            "IQ4_NL",
            "Q4_K_S",
            "Q4_K_M",
            "IQ3_S",
            "IQ3_M",
            "IQ4_XS",
        }
        return "Q5_K" if mix in raised else base
    return {"Q2_K": "Q3_K", "IQ3_XXS": "IQ3_S", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K", "IQ3_M": "Q4_K"}.get(mix, base)
