"""The sizes of published models, and the tensors a file of such a model holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


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

    @property
    def d_head(self) -> int:
        return self.head_dim or self.n_embd // self.n_head

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor in the order of a converted file."""
        q, kv = self.n_head * self.d_head, self.n_head_kv * self.d_head
        yield Tensor("token_embd.weight", (self.n_embd, self.n_vocab))
        for layer in range(self.n_layer):
            b = f"blk.{layer}."
            yield Tensor(f"{b}attn_norm.weight", (self.n_embd,), layer)
            for part, rows in (("q", q), ("k", kv), ("v", kv)):
                yield Tensor(f"{b}attn_{part}.weight", (self.n_embd, rows), layer)
                if self.qkv_bias:
                    yield Tensor(f"{b}attn_{part}.bias", (rows,), layer)
            if self.qk_norm:
                yield Tensor(f"{b}attn_q_norm.weight", (self.d_head,), layer)
                yield Tensor(f"{b}attn_k_norm.weight", (self.d_head,), layer)
            yield Tensor(f"{b}attn_output.weight", (q, self.n_embd), layer)
            yield Tensor(f"{b}ffn_norm.weight", (self.n_embd,), layer)
            yield Tensor(f"{b}ffn_gate.weight", (self.n_embd, self.n_ff), layer)
            yield Tensor(f"{b}ffn_up.weight", (self.n_embd, self.n_ff), layer)
            yield Tensor(f"{b}ffn_down.weight", (self.n_ff, self.n_embd), layer)
        yield Tensor("output_norm.weight", (self.n_embd,))
        if not self.tied:
            yield Tensor("output.weight", (self.n_embd, self.n_vocab))

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


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(name="tiny", n_embd=256, n_layer=2, n_head=4, n_head_kv=2, n_ff=512, n_vocab=512, n_ctx=2048),
        Shape(
            name="tinyllama-1.1b", n_embd=2048, n_layer=22, n_head=32, n_head_kv=4, n_ff=5632, n_vocab=32000, n_ctx=2048
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
    )
}  # fmt: skip
