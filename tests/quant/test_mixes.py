"""Mixes choose the types that llama-quantize chooses."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from oxillama.quant.mixes import NAMES, Traits, choose, fitting, is_quantized, layers_of, wants_importance

# What `llama-quantize --dry-run` prints for a llama of 20 layers, 256 wide, whose attn_output has rows of 64: how many
# matrices get which type, with 4 query heads per key head and with one.
RECORDED = {
    "BF16": ("BF16:142", "BF16:142"),
    "F16": ("F16:142", "F16:142"),
    "IQ1_M": ("IQ1_M:98 IQ4_NL:20 Q2_K:3 Q4_K:20 Q5_K:1", "IQ1_M:98 IQ4_NL:20 Q2_K:23 Q5_K:1"),
    "IQ1_S": ("IQ1_S:98 IQ4_NL:20 Q2_K:3 Q4_K:20 Q5_K:1", "IQ1_S:98 IQ4_NL:20 Q2_K:23 Q5_K:1"),
    "IQ2_M": ("IQ2_S:98 IQ3_S:3 IQ4_NL:20 Q4_K:20 Q5_K:1", "IQ2_S:98 IQ3_S:23 IQ4_NL:20 Q5_K:1"),
    "IQ2_S": ("IQ2_XS:98 IQ3_S:3 IQ4_NL:20 Q4_K:20 Q5_K:1", "IQ2_XS:98 IQ3_S:23 IQ4_NL:20 Q5_K:1"),
    "IQ2_XS": ("IQ2_XS:98 IQ4_NL:20 Q2_K:3 Q4_K:20 Q5_K:1", "IQ2_XS:98 IQ4_NL:20 Q2_K:23 Q5_K:1"),
    "IQ2_XXS": ("IQ2_XXS:98 IQ4_NL:20 Q2_K:3 Q4_K:20 Q5_K:1", "IQ2_XXS:98 IQ4_NL:20 Q2_K:23 Q5_K:1"),
    "IQ3_M": ("IQ3_S:99 Q4_K:22 Q5_0:20 Q6_K:1", "IQ3_S:99 Q4_K:22 Q5_0:20 Q6_K:1"),
    "IQ3_S": ("IQ3_S:101 IQ4_NL:20 Q4_K:20 Q6_K:1", "IQ3_S:121 IQ4_NL:20 Q6_K:1"),
    "IQ3_XS": ("IQ3_S:31 IQ3_XXS:70 IQ4_NL:20 Q4_K:20 Q6_K:1", "IQ3_S:51 IQ3_XXS:70 IQ4_NL:20 Q6_K:1"),
    "IQ3_XXS": (
        "IQ2_S:40 IQ3_S:1 IQ3_XXS:40 IQ4_NL:20 Q3_K:18 Q4_K:22 Q5_K:1",
        "IQ2_S:40 IQ3_S:21 IQ3_XXS:40 IQ4_NL:20 Q3_K:18 Q4_K:2 Q5_K:1",
    ),
    "IQ4_NL": ("IQ4_NL:119 Q5_K:22 Q6_K:1", "IQ4_NL:139 Q5_K:2 Q6_K:1"),
    "IQ4_XS": ("IQ4_NL:20 IQ4_XS:99 Q5_K:22 Q6_K:1", "IQ4_NL:20 IQ4_XS:119 Q5_K:2 Q6_K:1"),
    "Q2_0": ("Q2_0:140 Q4_K:1 Q6_K:1", "Q2_0:140 Q4_K:1 Q6_K:1"),
    "Q2_K": ("Q2_K:81 Q3_K:20 Q4_0:20 Q4_K:20 Q6_K:1", "Q2_K:81 Q3_K:40 Q4_0:20 Q6_K:1"),
    "Q2_K_S": ("Q2_K:99 Q4_0:20 Q4_K:22 Q6_K:1", "Q2_K:119 Q4_0:20 Q4_K:2 Q6_K:1"),
    "Q3_K_L": ("Q3_K:81 Q5_1:20 Q5_K:40 Q6_K:1", "Q3_K:81 Q5_1:20 Q5_K:40 Q6_K:1"),
    "Q3_K_M": ("Q3_K:81 Q4_K:37 Q5_0:20 Q5_K:3 Q6_K:1", "Q3_K:81 Q4_K:37 Q5_0:20 Q5_K:3 Q6_K:1"),
    "Q3_K_S": ("Q3_K:121 Q4_0:20 Q6_K:1", "Q3_K:121 Q4_0:20 Q6_K:1"),
    "Q4_0": ("Q4_0:141 Q6_K:1", "Q4_0:141 Q6_K:1"),
    "Q4_1": ("Q4_1:141 Q6_K:1", "Q4_1:141 Q6_K:1"),
    "Q4_K_M": ("Q4_K:101 Q5_0:20 Q6_K:21", "Q4_K:101 Q5_0:20 Q6_K:21"),
    "Q4_K_S": ("Q4_K:115 Q5_0:20 Q5_K:6 Q6_K:1", "Q4_K:115 Q5_0:20 Q5_K:6 Q6_K:1"),
    "Q5_0": ("Q5_0:141 Q6_K:1", "Q5_0:141 Q6_K:1"),
    "Q5_1": ("Q5_1:141 Q6_K:1", "Q5_1:141 Q6_K:1"),
    "Q5_K_M": ("Q5_1:20 Q5_K:101 Q6_K:21", "Q5_1:20 Q5_K:101 Q6_K:21"),
    "Q5_K_S": ("Q5_1:20 Q5_K:121 Q6_K:1", "Q5_1:20 Q5_K:121 Q6_K:1"),
    "Q6_K": ("Q6_K:122 Q8_0:20", "Q6_K:122 Q8_0:20"),
    "Q8_0": ("Q8_0:142", "Q8_0:142"),
    "TQ1_0": ("Q4_0:20 Q4_K:1 Q6_K:1 TQ1_0:120", "Q4_0:20 Q4_K:1 Q6_K:1 TQ1_0:120"),
    "TQ2_0": ("Q4_0:20 Q4_K:1 Q6_K:1 TQ2_0:120", "Q4_0:20 Q4_K:1 Q6_K:1 TQ2_0:120"),
}
# The same for a falcon of 20 layers, 256 wide, with 4 query heads over one key head.
FALCON = {
    "Q8_0": "Q8_0:82", "Q4_0": "Q4_0:81 Q8_0:1", "Q2_K": "Q2_K:41 Q3_K:20 Q4_K:20 Q8_0:1",
    "Q3_K_S": "Q3_K:81 Q8_0:1", "Q3_K_M": "Q3_K:51 Q4_K:27 Q5_K:3 Q8_0:1", "Q3_K_L": "Q3_K:21 Q4_K:40 Q5_K:20 Q8_0:1",
    "Q4_K_S": "Q4_K:77 Q5_K:4 Q8_0:1", "Q4_K_M": "Q4_K:61 Q5_K:9 Q6_K:11 Q8_0:1", "Q5_K_M": "Q5_K:61 Q6_K:20 Q8_0:1",
    "IQ2_M": "IQ2_S:38 IQ3_S:23 Q4_K:20 Q8_0:1", "IQ3_XXS": "IQ3_S:1 IQ3_XXS:40 Q3_K:18 Q4_K:22 Q8_0:1",
    "IQ3_M": "IQ3_S:59 Q4_K:22 Q8_0:1", "IQ4_XS": "IQ4_XS:59 Q5_K:22 Q8_0:1",
}  # fmt: skip
FALCON_ROLES = {"attn_qkv": (256, 384), "attn_output": (256, 256), "ffn_up": (256, 256), "ffn_down": (256, 256)}
ROLES = {
    "attn_q": (256, 256), "attn_k": (256, 64), "attn_v": (256, 64), "attn_output": (64, 256), "ffn_gate": (256, 256),
    "ffn_up": (256, 256), "ffn_down": (256, 256),
}  # fmt: skip


def model(n_layer: int = 20) -> dict[str, tuple[int, ...]]:
    layers = {f"blk.{i}.{role}.weight": shape for i in range(n_layer) for role, shape in ROLES.items()}
    return {"token_embd.weight": (256, 300), **layers, "output.weight": (256, 300)}


def types(mix: str, *, importance: bool = False, tied: bool = False, **traits: Any) -> dict[str, str]:
    tensors = model()
    known = Traits(n_layer=20, tied=tied, layers=layers_of(tensors), **traits)
    return {name: choose(mix, name, shape, known, importance=importance) for name, shape in tensors.items()}


@pytest.mark.parametrize(("grouping", "column"), [(4, 0), (1, 1)])
@pytest.mark.parametrize("mix", RECORDED)
def test_as_many_tensors_of_each_type_as_the_reference_makes(mix: str, grouping: int, column: int) -> None:
    want = dict(pair.split(":") for pair in RECORDED[mix][column].split())

    assert {k: str(v) for k, v in Counter(types(mix, grouping=grouping).values()).items()} == want


@pytest.mark.parametrize("mix", FALCON)
def test_falcon_has_its_own_rules(mix: str) -> None:
    layers = {f"blk.{i}.{role}.weight": shape for i in range(20) for role, shape in FALCON_ROLES.items()}
    tensors = {"token_embd.weight": (256, 300), **layers, "output.weight": (256, 300)}
    known = Traits("falcon", 20, 4, layers=layers_of(tensors))

    chosen = Counter(choose(mix, name, shape, known) for name, shape in tensors.items())

    assert {k: str(v) for k, v in chosen.items()} == dict(pair.split(":") for pair in FALCON[mix].split())


def test_glm5_keeps_its_small_projections_and_eight_bits_for_its_queries() -> None:
    known = Traits("glm5-next", 20)

    assert choose("Q4_K_M", "blk.3.attn_q_a.weight", (256, 64), known) == "Q8_0"
    assert choose("F16", "blk.3.attn_q_a.weight", (256, 64), known) == "F16"
    assert not is_quantized("blk.3.attn_k_b.weight", (256, 64), "glm5-next")
    assert is_quantized("blk.3.attn_k_b.weight", (256, 64), "deepseek2")


def test_only_the_experts_of_bailingmoe3_become_mxfp4() -> None:
    names = ("blk.3.ffn_up_exps.weight", "blk.3.attn_k_b.weight")

    assert [choose("MXFP4_MOE", n, (64, 64, 8), Traits("bailingmoe3", 20)) for n in names] == ["MXFP4", "Q8_0"]
    assert [choose("MXFP4_MOE", n, (64, 64, 8), Traits("llama", 20)) for n in names] == ["MXFP4", "MXFP4"]


def test_more_bits_go_to_the_first_and_last_eighth_and_every_third_between() -> None:
    chosen = types("Q4_K_M")

    more = [i for i in range(20) if chosen[f"blk.{i}.ffn_down.weight"] == "Q6_K"]
    assert more == [0, 1, 4, 7, 10, 13, 16, 17, 18, 19]
    assert chosen["output.weight"] == "Q6_K"
    assert chosen["token_embd.weight"] == "Q4_K"


def test_an_embedding_that_is_the_output_matrix_too_is_treated_as_one() -> None:
    assert types("Q4_K_M", tied=True)["token_embd.weight"] == "Q6_K"


def test_importance_changes_the_types_that_mixes_choose() -> None:
    assert types("Q4_0", importance=True)["blk.0.ffn_down.weight"] == "Q4_1"
    assert types("Q4_0")["blk.0.ffn_down.weight"] == "Q4_0"
    assert types("IQ4_XS", importance=True)["blk.0.ffn_down.weight"] == "IQ4_XS"


def test_a_model_of_eight_experts_keeps_its_keys_and_values() -> None:
    chosen = types("Q4_K_M", n_expert=8)

    assert chosen["blk.5.attn_k.weight"] == chosen["blk.5.attn_v.weight"] == "Q8_0"


@pytest.mark.parametrize(
    ("wanted", "n_cols", "got"),
    [("Q4_K", 512, "Q4_K"), ("Q4_K", 96, "Q5_0"), ("Q5_K", 32, "Q5_1"), ("Q6_K", 64, "Q8_0"), ("Q2_K", 64, "Q4_0"),
     ("IQ4_XS", 32, "IQ4_NL"), ("Q4_K", 100, "F16"), ("Q4_0", 48, "F16"), ("Q1_0", 64, "F16")],
)  # fmt: skip
def test_rows_that_fill_no_block_get_a_type_that_they_fill(wanted: str, n_cols: int, got: str) -> None:
    assert fitting(wanted, n_cols) == got


@pytest.mark.parametrize(
    ("name", "shape", "quantised"),
    [("blk.0.attn_q.weight", (64, 64), True), ("blk.0.attn_norm.weight", (64,), False),
     ("blk.0.attn_q.bias", (64, 1), False), ("blk.0.ffn_gate_inp.weight", (64, 8), False),
     ("blk.0.ffn_down_exps.weight", (64, 64, 8), True), ("blk.0.attn_q_norm.weight", (64, 4), False),
     ("blk.0.time_mix_w1.weight", (64, 64), False), ("blk.0.time_mix_value.weight", (64, 64), True),
     ("blk.0.time_mix_gate.weight", (64, 64), True), ("output.weight", (64, 64), True)],
)  # fmt: skip
def test_matrices_are_quantised_and_nothing_else(name: str, shape: tuple[int, ...], quantised: bool) -> None:
    assert is_quantized(name, shape) == quantised


def test_tiny_types_ask_for_importance_but_not_for_the_embedding() -> None:
    assert wants_importance("IQ2_XXS", "blk.0.attn_q.weight", "IQ2_XXS")
    assert not wants_importance("IQ2_S", "token_embd.weight", "IQ3_S")
    assert wants_importance("Q2_K_S", "blk.0.attn_q.weight", "Q2_K")
    assert not wants_importance("Q2_K", "blk.0.attn_q.weight", "Q2_K")


def test_every_name_can_be_chosen_for_every_tensor() -> None:
    for mix in NAMES:
        assert len(types(mix)) == 142
