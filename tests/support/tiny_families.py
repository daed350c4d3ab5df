"""Tiny models of the families whose layers differ, with every tensor that a file of the family may have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tests.support.tiny_models import TinyModel

N_EMBD, N_HEAD, N_KV, DIM, N_FF = 32, 4, 2, 8, 32
SIZES: dict[str, Any] = {
    "n_embd": N_EMBD,
    "n_head": N_HEAD,
    "n_head_kv": N_KV,
    "head_dim": DIM,
    "n_ff": N_FF,
    "n_ctx": 128,
}


def _empty(arch: str, n_layer: int, n_expert: int = 0, n_used: int = 0) -> TinyModel:
    """The metadata alone, and the embedding."""
    model = TinyModel(arch, n_layer=0, n_expert=n_expert, n_expert_used=n_used, **SIZES)
    model.metadata[f"{arch}.block_count"] = n_layer
    model.tensors = {name: model.tensors[name] for name in ("token_embd.weight", "output_norm.weight")}
    if n_expert:
        model.metadata[f"{arch}.expert_feed_forward_length"] = N_FF
    return model


def _vectors(model: TinyModel, prefix: str, *names: str, n: int = N_EMBD) -> None:
    for name in names:
        model.add_vector(f"{prefix}{name}.weight", n)


def _attention(model: TinyModel, prefix: str, *, dim: int = DIM, n_kv: int = N_KV, only: str = "qkv") -> None:
    for part in only:
        model.add_matrix(f"{prefix}attn_{part}", (N_HEAD if part == "q" else n_kv) * dim, N_EMBD)
    model.add_matrix(f"{prefix}attn_output", N_EMBD, N_HEAD * dim)


def _network(model: TinyModel, prefix: str, n_ff: int = N_FF) -> None:
    for name in ("ffn_gate", "ffn_up"):
        model.add_matrix(prefix + name, n_ff, N_EMBD)
    model.add_matrix(prefix + "ffn_down", N_EMBD, n_ff)


def _experts(model: TinyModel, prefix: str, n: int, *, fused: bool = False) -> None:
    model.add_matrix(prefix + "ffn_gate_inp", n, N_EMBD)
    if fused:
        model.add_matrix(prefix + "ffn_gate_up_exps", n, 2 * N_FF, N_EMBD)
    else:
        model.add_matrix(prefix + "ffn_gate_exps", n, N_FF, N_EMBD)
        model.add_matrix(prefix + "ffn_up_exps", n, N_FF, N_EMBD)
    model.add_matrix(prefix + "ffn_down_exps", n, N_EMBD, N_FF)


def gemma2() -> TinyModel:
    model = _empty("gemma2", 2)
    model.metadata |= {
        "gemma2.attention.sliding_window": 16,
        "gemma2.attn_logit_softcapping": 5.0,
        "gemma2.final_logit_softcapping": 4.0,
    }
    for prefix in ("blk.0.", "blk.1."):
        _vectors(model, prefix, "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
        _attention(model, prefix)
        _network(model, prefix)
    return model


def gemma3() -> TinyModel:
    model = _empty("gemma3", 3)
    model.metadata |= {
        "gemma3.attention.sliding_window": 16,
        "gemma3.attention.sliding_window_pattern": 3,
        "gemma3.rope.freq_base_swa": 1000.0,
        "gemma3.rope.scaling.type": "linear",
        "gemma3.rope.scaling.factor": 8.0,
    }
    for i in range(3):
        prefix = f"blk.{i}."
        _vectors(model, prefix, "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
        _vectors(model, prefix, "attn_q_norm", "attn_k_norm", n=DIM)
        _attention(model, prefix)
        _network(model, prefix)
    return model


def gemma4() -> TinyModel:
    """Layers: window, window with experts, everything (values are the keys), and two that reuse keys and values."""
    model, n_per_layer, full = _empty("gemma4", 5, 4, 2), 16, 2 * DIM
    model.metadata |= {
        "gemma4.attention.sliding_window": 16,
        "gemma4.attention.sliding_window_pattern": ([True, True, False, True, False], "arr[bool]"),
        "gemma4.attention.shared_kv_layers": 2,
        "gemma4.attention.key_length": full,
        "gemma4.attention.value_length": full,
        "gemma4.attention.key_length_swa": DIM,
        "gemma4.attention.value_length_swa": DIM,
        "gemma4.rope.dimension_count": full,
        "gemma4.rope.dimension_count_swa": DIM,
        "gemma4.rope.freq_base_swa": 1000.0,
        "gemma4.attention.head_count_kv": np.array([2, 2, 1, 2, 1], np.int32),
        "gemma4.feed_forward_length": np.array([N_FF, N_FF, N_FF, 48, 48], np.int32),
        "gemma4.embedding_length_per_layer_input": n_per_layer,
        "gemma4.final_logit_softcapping": 10.0,
    }
    model.add_matrix("per_layer_token_embd", 128, 5 * n_per_layer)
    model.add_matrix("per_layer_model_proj", 5 * n_per_layer, N_EMBD)
    model.add_vector("per_layer_proj_norm.weight", n_per_layer)
    model.tensors["rope_freqs.weight"] = np.array([1.0] * (full // 4) + [1e30] * (full // 4), np.float32)
    for i in range(5):
        prefix, dim = f"blk.{i}.", full if i in (2, 4) else DIM
        _vectors(model, prefix, "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm", "post_norm")
        _vectors(model, prefix, "attn_q_norm", *(["attn_k_norm"] if i < 3 else []), n=dim)
        _attention(model, prefix, dim=dim, n_kv=1 if i in (2, 4) else 2, only=("qkv", "qkv", "qk", "q", "q")[i])
        _network(model, prefix, 48 if i >= 3 else N_FF)
        model.add_matrix(prefix + "inp_gate", n_per_layer, N_EMBD)
        model.add_matrix(prefix + "proj", N_EMBD, n_per_layer)
        model.add_vector(prefix + "layer_output_scale.weight", 1)
    _experts(model, "blk.1.", 4, fused=True)
    _vectors(model, "blk.1.", "pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2")
    model.add_vector("blk.1.ffn_gate_inp.scale", N_EMBD)
    model.add_vector("blk.1.ffn_down_exps.scale", 4)
    return model


def gpt_oss() -> TinyModel:
    model = _empty("gpt-oss", 2, 4, 2)
    model.metadata |= {
        "gpt-oss.attention.sliding_window": 16,
        "gpt-oss.rope.scaling.type": "yarn",
        "gpt-oss.rope.scaling.factor": 4.0,
        "gpt-oss.rope.scaling.original_context_length": 32,
    }
    model.add_matrix("output", 128, N_EMBD)
    for prefix in ("blk.0.", "blk.1."):
        _vectors(model, prefix, "attn_norm", "post_attention_norm")
        _attention(model, prefix)
        _experts(model, prefix, 4)
        model.add_vector(prefix + "attn_sinks.weight", N_HEAD)
        biases: dict[str, tuple[int, ...]] = {
            **{"attn_q": (N_HEAD * DIM,), "attn_k": (N_KV * DIM,), "attn_v": (N_KV * DIM,), "attn_output": (N_EMBD,)},
            **{
                "ffn_gate_inp": (4,),
                "ffn_gate_exps": (4, N_FF),
                "ffn_up_exps": (4, N_FF),
                "ffn_down_exps": (4, N_EMBD),
            },
        }
        for name, shape in biases.items():
            model.add_vector(f"{prefix}{name}.bias", int(np.prod(shape)), around=0.0)
            model.tensors[f"{prefix}{name}.bias"] = model.tensors[f"{prefix}{name}.bias"].reshape(shape)
    return model


def qwen3moe() -> TinyModel:
    model = _empty("qwen3moe", 2, 4, 2)
    model.add_matrix("output", 128, N_EMBD)
    for prefix in ("blk.0.", "blk.1."):
        _vectors(model, prefix, "attn_norm", "ffn_norm")
        _vectors(model, prefix, "attn_q_norm", "attn_k_norm", n=DIM)
        _attention(model, prefix)
        _experts(model, prefix, 4)
    return model


def lfm2(arch: str = "lfm2") -> TinyModel:
    """A convolution, then attention; with experts in the second layer."""
    model = _empty(arch, 2, *((4, 2) if arch == "lfm2moe" else ()))
    model.metadata |= {
        f"{arch}.attention.head_count_kv": np.array([0, N_KV], np.int32),
        f"{arch}.shortconv.l_cache": 3,
    }
    model.tensors["token_embd_norm.weight"] = model.tensors.pop("output_norm.weight")
    for prefix in ("blk.0.", "blk.1."):
        _vectors(model, prefix, "attn_norm", "ffn_norm")
    for name, shape in (("conv", (N_EMBD, 3)), ("in_proj", (3 * N_EMBD, N_EMBD)), ("out_proj", (N_EMBD, N_EMBD))):
        model.add_matrix(f"blk.0.shortconv.{name}", *shape)
    _attention(model, "blk.1.")
    _vectors(model, "blk.1.", "attn_q_norm", "attn_k_norm", n=DIM)
    _network(model, "blk.0.")
    if arch == "lfm2":
        _network(model, "blk.1.")
    else:
        model.metadata |= {f"{arch}.leading_dense_block_count": 1, f"{arch}.expert_gating_func": 2}
        _experts(model, "blk.1.", 4)
        model.add_vector("blk.1.exp_probs_b.bias", 4, around=0.0)
    return model


N_STATE, D_STATE = 4, 8


def qwen35(arch: str = "qwen35") -> TinyModel:
    """A delta net, then attention, and a layer that predicts later tokens."""
    mixture = arch != "qwen35"
    model = _empty(arch, 3, *((4, 2) if mixture else ()))
    model.metadata |= {
        f"{arch}.attention.recurrent_layers": ([True, False, False], "arr[bool]"),
        f"{arch}.nextn_predict_layers": 1,
        f"{arch}.ssm.conv_kernel": 4,
        f"{arch}.ssm.state_size": D_STATE,
        f"{arch}.ssm.group_count": N_STATE // 2,
        f"{arch}.ssm.time_step_rank": N_STATE,
        f"{arch}.ssm.inner_size": N_STATE * D_STATE,
    }
    if arch != "qwen3next":
        model.metadata[f"{arch}.rope.dimension_sections"] = np.array([2, 1, 1, 0], np.int32)
    values = N_STATE * D_STATE
    model.add_matrix("blk.0.attn_qkv", 2 * values, N_EMBD)
    model.add_matrix("blk.0.attn_gate", values, N_EMBD)
    model.add_matrix("blk.0.ssm_conv1d", 2 * values, 4)
    model.add_vector("blk.0.ssm_dt.bias", N_STATE)
    model.add_vector("blk.0.ssm_a", N_STATE, around=-1.0)
    for name in ("ssm_beta", "ssm_alpha") if arch != "qwen3next" else ("ssm_ba", "ssm_ba"):
        model.add_matrix(f"blk.0.{name}", N_STATE * (2 if arch == "qwen3next" else 1), N_EMBD)
    model.add_vector("blk.0.ssm_norm.weight", D_STATE)
    model.add_matrix("blk.0.ssm_out", N_EMBD, values)
    _attention(model, "blk.1.")
    model.add_matrix("blk.1.attn_q", 2 * N_HEAD * DIM, N_EMBD)
    _vectors(model, "blk.1.", "attn_q_norm", "attn_k_norm", n=DIM)
    for prefix in ("blk.0.", "blk.1."):
        _vectors(model, prefix, "attn_norm", "post_attention_norm")
        if mixture:
            model.metadata[f"{arch}.expert_shared_feed_forward_length"] = N_FF
            _experts(model, prefix, 4)
            model.add_vector(f"{prefix}ffn_gate_inp_shexp.weight", N_EMBD)
            for name, shape in (("gate", (N_FF, N_EMBD)), ("up", (N_FF, N_EMBD)), ("down", (N_EMBD, N_FF))):
                model.add_matrix(f"{prefix}ffn_{name}_shexp", *shape)
        else:
            _network(model, prefix)
    return model


TINY_FAMILIES: dict[str, Callable[[], TinyModel]] = {
    "gemma2": gemma2,
    "gemma3": gemma3,
    "gemma4": gemma4,
    "gpt-oss": gpt_oss,
    "qwen3moe": qwen3moe,
    "lfm2": lfm2,
    "lfm2moe": partial(lfm2, "lfm2moe"),
    "qwen35": qwen35,
    "qwen35moe": partial(qwen35, "qwen35moe"),
    "qwen3next": partial(qwen35, "qwen3next"),
}
