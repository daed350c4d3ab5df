"""The sizes of published models, and the tensors a file of such a model holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Metadata = dict[str, tuple[str, Any]]  # key → (GGUF type, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Hyper-parameters of one model, as its GGUF file states them. head_dim 0: n_embd / n_head."""

    name: str
    arch: str = "llama"
    n_embd: int
    n_layer: int
    n_head: int
    n_head_kv: int
    n_ff: int
    n_vocab: int
    n_ctx: int
    head_dim: int = 0
    rope_base: float = 10000.0
    rms_eps: float = 1e-5
    tied: bool = False  # no output matrix: the token embedding is used instead
    qkv_bias: bool = False
    qk_norm: bool = False
    gated: bool = False  # the matrix of queries has the rows of a gate for the result of attention too
    n_rot: int = 0  # columns of a head that are rotated; 0: all
    ffn_norm: str = "ffn_norm"
    output_norm: str = "output_norm"

    @property
    def d_head(self) -> int:
        return self.head_dim or self.n_embd // self.n_head

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor in the order of a converted file."""
        yield Tensor("token_embd.weight", (self.n_embd, self.n_vocab))
        for layer in range(self.n_layer):
            yield Tensor(f"blk.{layer}.attn_norm.weight", (self.n_embd,), layer)
            yield from self.mixing(layer)
            yield Tensor(f"blk.{layer}.{self.ffn_norm}.weight", (self.n_embd,), layer)
            yield from self.network(layer)
        yield Tensor(f"{self.output_norm}.weight", (self.n_embd,))
        if not self.tied:
            yield Tensor("output.weight", (self.n_embd, self.n_vocab))

    def mixing(self, layer: int) -> Iterator[Tensor]:
        """What a layer has between its norms: attention."""
        b = f"blk.{layer}."
        q, kv = self.n_head * self.d_head, self.n_head_kv * self.d_head
        for part, rows in (("q", q * (2 if self.gated else 1)), ("k", kv), ("v", kv)):
            yield Tensor(f"{b}attn_{part}.weight", (self.n_embd, rows), layer)
            if self.qkv_bias:
                yield Tensor(f"{b}attn_{part}.bias", (rows,), layer)
        if self.qk_norm:
            yield Tensor(f"{b}attn_q_norm.weight", (self.d_head,), layer)
            yield Tensor(f"{b}attn_k_norm.weight", (self.d_head,), layer)
        yield Tensor(f"{b}attn_output.weight", (q, self.n_embd), layer)

    def network(self, layer: int) -> Iterator[Tensor]:
        b = f"blk.{layer}."
        yield Tensor(f"{b}ffn_gate.weight", (self.n_embd, self.n_ff), layer)
        yield Tensor(f"{b}ffn_up.weight", (self.n_embd, self.n_ff), layer)
        yield Tensor(f"{b}ffn_down.weight", (self.n_ff, self.n_embd), layer)

    def keys(self) -> Metadata:
        """The keys of the file that only this architecture has, without the architecture's name."""
        return {}

    def with_vocabulary(self, n_vocab: int) -> Shape:
        from dataclasses import replace

        return replace(self, n_vocab=n_vocab)


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file; shape[0] is the contiguous dimension. layer None: not part of a layer."""

    name: str
    shape: tuple[int, ...]
    layer: int | None = None

    @property
    def role(self) -> str:
        """The name without its layer: "attn_v.weight"."""
        return self.name.split(".", 2)[2] if self.layer is not None else self.name

    @property
    def is_matrix(self) -> bool:
        return len(self.shape) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Qwen3Moe(Shape):
    """Every layer has experts of n_ff inner columns."""

    n_expert: int
    n_used: int

    def network(self, layer: int) -> Iterator[Tensor]:
        b = f"blk.{layer}."
        yield Tensor(f"{b}ffn_gate_inp.weight", (self.n_embd, self.n_expert), layer)
        yield Tensor(f"{b}ffn_gate_exps.weight", (self.n_embd, self.n_ff, self.n_expert), layer)
        yield Tensor(f"{b}ffn_up_exps.weight", (self.n_embd, self.n_ff, self.n_expert), layer)
        yield Tensor(f"{b}ffn_down_exps.weight", (self.n_ff, self.n_embd, self.n_expert), layer)

    def keys(self) -> Metadata:
        return {
            "expert_count": ("u32", self.n_expert),
            "expert_used_count": ("u32", self.n_used),
            "expert_feed_forward_length": ("u32", self.n_ff),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepSeek2(Shape):
    """Attention over latents of `rank` columns, with heads of `plain` and n_rot columns. The first layer is dense, the
    others have experts of n_ff_expert inner columns, n_shared of them for every token."""

    rank: int
    plain: int
    value: int
    n_expert: int
    n_used: int
    n_shared: int
    n_ff_expert: int

    def mixing(self, layer: int) -> Iterator[Tensor]:
        b = f"blk.{layer}."
        yield Tensor(f"{b}attn_q.weight", (self.n_embd, self.n_head * (self.plain + self.n_rot)), layer)
        yield Tensor(f"{b}attn_kv_a_mqa.weight", (self.n_embd, self.rank + self.n_rot), layer)
        yield Tensor(f"{b}attn_kv_a_norm.weight", (self.rank,), layer)
        yield Tensor(f"{b}attn_k_b.weight", (self.plain, self.rank, self.n_head), layer)
        yield Tensor(f"{b}attn_v_b.weight", (self.rank, self.value, self.n_head), layer)
        yield Tensor(f"{b}attn_output.weight", (self.n_head * self.value, self.n_embd), layer)

    def network(self, layer: int) -> Iterator[Tensor]:
        if layer == 0:
            yield from Shape.network(self, layer)
            return
        b, n_ff = f"blk.{layer}.", self.n_ff_expert
        yield Tensor(f"{b}ffn_gate_inp.weight", (self.n_embd, self.n_expert), layer)
        for suffix, width, of in (("_exps", n_ff, (self.n_expert,)), ("_shexp", n_ff * self.n_shared, ())):
            yield Tensor(f"{b}ffn_gate{suffix}.weight", (self.n_embd, width, *of), layer)
            yield Tensor(f"{b}ffn_up{suffix}.weight", (self.n_embd, width, *of), layer)
            yield Tensor(f"{b}ffn_down{suffix}.weight", (width, self.n_embd, *of), layer)

    def keys(self) -> Metadata:
        numbers = {
            "attention.q_lora_rank": 0,
            "attention.kv_lora_rank": self.rank,
            "attention.key_length": self.rank + self.n_rot,
            "attention.value_length": self.rank,
            "attention.key_length_mla": self.plain + self.n_rot,
            "attention.value_length_mla": self.value,
            "leading_dense_block_count": 1,
            "expert_count": self.n_expert,
            "expert_used_count": self.n_used,
            "expert_shared_count": self.n_shared,
            "expert_feed_forward_length": self.n_ff_expert,
            "expert_gating_func": 1,
        }
        return {key: ("u32", number) for key, number in numbers.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class LFM2(Shape):
    """Short convolutions of n_taps tokens in all layers but those of `attention`."""

    n_taps: int
    attention: tuple[int, ...]

    def mixing(self, layer: int) -> Iterator[Tensor]:
        if layer in self.attention:
            yield from Shape.mixing(self, layer)
            return
        b = f"blk.{layer}.shortconv."
        yield Tensor(f"{b}conv.weight", (self.n_taps, self.n_embd), layer)
        yield Tensor(f"{b}in_proj.weight", (self.n_embd, 3 * self.n_embd), layer)
        yield Tensor(f"{b}out_proj.weight", (self.n_embd, self.n_embd), layer)

    def keys(self) -> Metadata:
        heads = [self.n_head_kv if layer in self.attention else 0 for layer in range(self.n_layer)]
        return {
            "attention.head_count_kv": ("arr[i32]", np.array(heads, np.int32)),
            "shortconv.l_cache": ("u32", self.n_taps),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Qwen35(Shape):
    """Gated delta nets with n_state heads of d_state columns, and attention in every fourth layer."""

    n_taps: int
    n_state: int
    d_state: int
    sections: tuple[int, ...]

    def mixing(self, layer: int) -> Iterator[Tensor]:
        if layer % 4 == 3:
            yield from Shape.mixing(self, layer)
            return
        b, n = f"blk.{layer}.", self.n_state * self.d_state
        yield Tensor(f"{b}attn_qkv.weight", (self.n_embd, 3 * n), layer)
        yield Tensor(f"{b}attn_gate.weight", (self.n_embd, n), layer)
        yield Tensor(f"{b}ssm_conv1d.weight", (self.n_taps, 3 * n), layer)
        yield Tensor(f"{b}ssm_dt.bias", (self.n_state,), layer)
        yield Tensor(f"{b}ssm_a", (self.n_state,), layer)
        yield Tensor(f"{b}ssm_beta.weight", (self.n_embd, self.n_state), layer)
        yield Tensor(f"{b}ssm_alpha.weight", (self.n_embd, self.n_state), layer)
        yield Tensor(f"{b}ssm_norm.weight", (self.d_state,), layer)
        yield Tensor(f"{b}ssm_out.weight", (n, self.n_embd), layer)

    def keys(self) -> Metadata:
        return {
            "rope.dimension_sections": ("arr[i32]", np.array(self.sections, np.int32)),
            "ssm.conv_kernel": ("u32", self.n_taps),
            "ssm.state_size": ("u32", self.d_state),
            "ssm.group_count": ("u32", self.n_state),
            "ssm.time_step_rank": ("u32", self.n_state),
            "ssm.inner_size": ("u32", self.n_state * self.d_state),
            "full_attention_interval": ("u32", 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemma3(Shape):
    """Norms after attention and network too, and a window in all but every sixth layer."""

    window: int

    def mixing(self, layer: int) -> Iterator[Tensor]:
        yield from Shape.mixing(self, layer)
        yield Tensor(f"blk.{layer}.post_attention_norm.weight", (self.n_embd,), layer)

    def network(self, layer: int) -> Iterator[Tensor]:
        yield from Shape.network(self, layer)
        yield Tensor(f"blk.{layer}.post_ffw_norm.weight", (self.n_embd,), layer)

    def keys(self) -> Metadata:
        return {"attention.sliding_window": ("u32", self.window)}


@dataclass(frozen=True, slots=True, kw_only=True)
class GptOss(Qwen3Moe):
    """Biases everywhere, attention sinks, and a window in every second layer."""

    window: int
    rope_factor: float

    def mixing(self, layer: int) -> Iterator[Tensor]:
        yield from Qwen3Moe.mixing(self, layer)
        yield Tensor(f"blk.{layer}.attn_output.bias", (self.n_embd,), layer)
        yield Tensor(f"blk.{layer}.attn_sinks.weight", (self.n_head,), layer)

    def network(self, layer: int) -> Iterator[Tensor]:
        yield from Qwen3Moe.network(self, layer)
        b, n = f"blk.{layer}.", self.n_expert
        yield Tensor(f"{b}ffn_gate_inp.bias", (n,), layer)
        for part, rows in (("gate", self.n_ff), ("up", self.n_ff), ("down", self.n_embd)):
            yield Tensor(f"{b}ffn_{part}_exps.bias", (rows, n), layer)

    def keys(self) -> Metadata:
        return Qwen3Moe.keys(self) | {
            "attention.sliding_window": ("u32", self.window),
            "rope.scaling.type": ("str", "yarn"),
            "rope.scaling.factor": ("f32", self.rope_factor),
            "rope.scaling.original_context_length": ("u32", int(self.n_ctx / self.rope_factor)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bert(Shape):
    """An encoder whose vector is the mean of a text's tokens."""

    def tensors(self) -> Iterator[Tensor]:
        yield Tensor("token_embd.weight", (self.n_embd, self.n_vocab))
        yield Tensor("position_embd.weight", (self.n_embd, self.n_ctx))
        yield Tensor("token_types.weight", (self.n_embd, 2))
        yield from self._norm("token_embd_norm", None)
        for layer in range(self.n_layer):
            b = f"blk.{layer}."
            for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
                yield from self._product(b + part, self.n_embd, self.n_embd, layer)
            yield from self._norm(b + "attn_output_norm", layer)
            yield from self._product(b + "ffn_up", self.n_embd, self.n_ff, layer)
            yield from self._product(b + "ffn_down", self.n_ff, self.n_embd, layer)
            yield from self._norm(b + "layer_output_norm", layer)

    def _norm(self, name: str, layer: int | None) -> Iterator[Tensor]:
        yield Tensor(f"{name}.weight", (self.n_embd,), layer)
        yield Tensor(f"{name}.bias", (self.n_embd,), layer)

    def _product(self, name: str, n_in: int, n_out: int, layer: int) -> Iterator[Tensor]:
        yield Tensor(f"{name}.weight", (n_in, n_out), layer)
        yield Tensor(f"{name}.bias", (n_out,), layer)

    def keys(self) -> Metadata:
        return {
            "attention.layer_norm_epsilon": ("f32", 1e-12),
            "attention.causal": ("bool", False),
            "pooling_type": ("u32", 1),
        }


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(name="tiny", n_embd=256, n_layer=2, n_head=4, n_head_kv=2, n_ff=512, n_vocab=512, n_ctx=2048),
        Shape(
            name="tinyllama-1.1b", n_embd=2048, n_layer=22, n_head=32, n_head_kv=4, n_ff=5632, n_vocab=32000, n_ctx=2048
        ),
        Shape(
            name="smollm2-135m", n_embd=576, n_layer=30, n_head=9, n_head_kv=3, n_ff=1536, n_vocab=49152, n_ctx=8192,
            rope_base=100000.0, tied=True,
        ),
        Shape(
            name="llama-3.2-1b", n_embd=2048, n_layer=16, n_head=32, n_head_kv=8, n_ff=8192, n_vocab=128256,
            n_ctx=131072, rope_base=500000.0, tied=True,
        ),
        Shape(
            name="qwen2.5-0.5b", arch="qwen2", n_embd=896, n_layer=24, n_head=14, n_head_kv=2, n_ff=4864,
            n_vocab=151936, n_ctx=32768, rope_base=1e6, rms_eps=1e-6, tied=True, qkv_bias=True,
        ),
        Shape(
            name="qwen3-0.6b", arch="qwen3", n_embd=1024, n_layer=28, n_head=16, n_head_kv=8, n_ff=3072,
            n_vocab=151936, n_ctx=40960, head_dim=128, rope_base=1e6, rms_eps=1e-6, tied=True, qk_norm=True,
        ),
        Shape(
            name="llama-7b", n_embd=4096, n_layer=32, n_head=32, n_head_kv=32, n_ff=11008, n_vocab=32000, n_ctx=4096
        ),
        Shape(
            name="mistral-7b", n_embd=4096, n_layer=32, n_head=32, n_head_kv=8, n_ff=14336, n_vocab=32000, n_ctx=32768
        ),
        Qwen3Moe(  # six of 48 layers
            name="qwen3moe-30b-a3b", arch="qwen3moe", n_embd=2048, n_layer=6, n_head=32, n_head_kv=4, n_ff=768,
            n_vocab=151936, n_ctx=40960, head_dim=128, rope_base=1e6, rms_eps=1e-6, qk_norm=True, n_expert=128,
            n_used=8,
        ),
        GptOss(  # four of 24 layers
            name="gpt-oss-20b", arch="gpt-oss", n_embd=2880, n_layer=4, n_head=64, n_head_kv=8, n_ff=2880,
            n_vocab=201088, n_ctx=131072, head_dim=64, rope_base=150000.0, qkv_bias=True,
            ffn_norm="post_attention_norm", n_expert=32, n_used=4, window=128, rope_factor=32.0,
        ),
        Gemma3(
            name="gemma3-1b", arch="gemma3", n_embd=1152, n_layer=26, n_head=4, n_head_kv=1, n_ff=6912, n_vocab=262144,
            n_ctx=32768, head_dim=256, rope_base=1e6, rms_eps=1e-6, tied=True, qk_norm=True, window=512,
        ),
        DeepSeek2(  # four of 27 layers
            name="deepseek2-lite", arch="deepseek2", n_embd=2048, n_layer=4, n_head=16, n_head_kv=1, n_ff=10944,
            n_vocab=102400, n_ctx=163840, rms_eps=1e-6, n_rot=64, rank=512, plain=128, value=128, n_expert=64, n_used=6,
            n_shared=2, n_ff_expert=1408,
        ),
        Bert(
            name="tiny-bert", arch="bert", n_embd=64, n_layer=2, n_head=2, n_head_kv=2, n_ff=128, n_vocab=512, n_ctx=512
        ),
        Bert(
            name="bert-base", arch="bert", n_embd=768, n_layer=12, n_head=12, n_head_kv=12, n_ff=3072, n_vocab=30522,
            n_ctx=512,
        ),
        Bert(
            name="minilm-l6", arch="bert", n_embd=384, n_layer=6, n_head=12, n_head_kv=12, n_ff=1536, n_vocab=30522,
            n_ctx=512,
        ),
        LFM2(
            name="lfm2-1.2b", arch="lfm2", n_embd=2048, n_layer=16, n_head=32, n_head_kv=8, n_ff=8192, n_vocab=65536,
            n_ctx=128000, rope_base=1e6, tied=True, qk_norm=True, output_norm="token_embd_norm", n_taps=3,
            attention=(2, 5, 8, 10, 12, 14),
        ),
        Qwen35(
            name="qwen35-0.8b", arch="qwen35", n_embd=1024, n_layer=24, n_head=8, n_head_kv=2, n_ff=3584,
            n_vocab=248320, n_ctx=262144, head_dim=256, n_rot=64, rope_base=1e7, rms_eps=1e-6, tied=True, qk_norm=True,
            gated=True, ffn_norm="post_attention_norm", n_taps=4, n_state=16, d_state=128, sections=(11, 11, 10, 0),
        ),
    )
}  # fmt: skip
