"""RWKV-7 (Peng et al., "RWKV-7 Goose", 2025): no attention, but a state for each head that every token changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.models.graph import ops
from oxillama.models.graph.ops import Part, Value
from oxillama.models.params.common import LAYER_EPSILON, HParams, read_hparams
from oxillama.models.params.keys import MAX_WIDTH, Keys
from oxillama.models.params.recurrent import MAX_STATE, state_floats
from oxillama.models.tensors import Float32, Vector

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View

DECAY = -0.606531
"""-e^(-1/2), as the reference rounds it: the most that a state's logarithm falls by at one token."""
HEAD_NORM_EPSILON = 64e-5
UNIT_EPSILON = 1e-24
SHIFTS = ("r", "w", "k", "v", "a", "g")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Columns of a head, and the ranks of the low-rank products."""

    head: int
    n_head: int
    decay: int
    rate: int
    value: int
    gate: int


def read_sizes(keys: Keys, n_embd: int) -> Sizes:
    """Raises ModelFormatError, naming the file and the key."""
    head = keys.whole("wkv.head_size", low=1, high=MAX_WIDTH)
    if n_embd % head:
        keys.gguf.fail(keys.name("wkv.head_size"), f"{head} does not divide the embedding length {n_embd}")
    if state_floats(n_embd // head, head, head) > MAX_STATE:
        keys.gguf.fail(keys.name("wkv.head_size"), f"{head} makes states that are too large")
    ranks = {
        name: keys.whole(f"attention.{key}_lora_rank", low=1, high=MAX_WIDTH)
        for name, key in (("decay", "decay"), ("rate", "iclr"), ("value", "value_residual_mix"), ("gate", "gate"))
    }
    return Sizes(head=head, n_head=n_embd // head, **ranks)


class Rwkv7:
    """A mix over time, then one over channels, each with the token before."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, epsilon=LAYER_EPSILON, attends=False)
        read_sizes(Keys(gguf, architecture), hparams.n_embd)
        return hparams

    def build(self, b: Builder) -> None:
        hp = b.hparams
        x = b.norm(b.embed(), "token_embd_norm", kind="layer")
        first: View | None = None
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            y, first = time_mix(b, b.norm(x, prefix + "attn_norm", kind="layer"), prefix, first)
            x = b.add(b.linear(y, prefix + "time_mix_output", hp.n_embd), x)
            h = b.norm(x, prefix + "attn_norm_2", kind="layer")
            h = b.token_shift(h, vectors(b, prefix + "channel_mix_lerp_k", 1)[0])
            if i == hp.n_layer - 1:
                x, h = b.select(x, h)
            k = b.glu(b.linear(h, prefix + "channel_mix_key", hp.n_ff[i]), None, "relu2")
            x = b.add(b.linear(k, prefix + "channel_mix_value", hp.n_embd), x)
        b.output(b.norm(x, "output_norm", kind="layer"))


def vectors(b: Builder, name: str, n: int) -> list[Vector]:
    """n vectors of the stream's width that lie one after another in a tensor."""
    width = b.hparams.n_embd
    info = b.gguf.tensors.get(f"{name}.weight")
    shape = info.shape if info is not None and info.n_elements == n * width else (width, 1, 1, n)
    whole = b.tensors.vector(f"{name}.weight", n * width, shape)

    def part(at: int) -> Vector:
        def read() -> Float32:
            row: Float32 = whole.read().reshape(n, width)[at]
            return row

        return Vector(width, read)

    return [part(at) for at in range(n)]


def time_mix(b: Builder, h: View, prefix: str, first: View | None) -> tuple[View, View]:
    """(the gated result before its matrix, the first layer's values)"""
    hp = b.hparams
    n, sizes = hp.n_embd, read_sizes(Keys(b.gguf, hp.architecture), hp.n_embd)
    shares = vectors(b, prefix + "time_mix_lerp_fused", len(SHIFTS))
    mixed = {name: b.token_shift(h, share) for name, share in zip(SHIFTS, shares, strict=True)}
    r = b.linear(mixed["r"], prefix + "time_mix_receptance", n)
    k = b.linear(mixed["k"], prefix + "time_mix_key", n)
    v = b.linear(mixed["v"], prefix + "time_mix_value", n)
    fall = b.glu(_low_rank(b, mixed["w"], prefix, "w", sizes.decay, "tanh"), None, "sigmoid")
    rate = b.glu(_low_rank(b, mixed["a"], prefix, "a", sizes.rate, "none"), None, "sigmoid")
    if first is None:
        first = v
        for index in "012":
            b.tensors.ignore(f"{prefix}time_mix_v{index}.weight")
    else:
        share = b.glu(_low_rank(b, mixed["v"], prefix, "v", sizes.value, "none"), None, "sigmoid")
        v = b.affine(b.affine(v, scale=-1.0, addend=first), times=share, addend=v)
    unit = b.affine(k, times=vectors(b, prefix + "time_mix_k_k", 1)[0])
    b.unit_vectors(unit, sizes.head, (1.0,), UNIT_EPSILON)
    scaled = b.affine(k, times=vectors(b, prefix + "time_mix_k_a", 1)[0])
    k = b.affine(scaled, scale=-1.0, addend=b.affine(scaled, times=rate, addend=k))
    views = {
        "q": r,
        "w": b.glu(b.affine(fall, scale=DECAY), None, "exp"),
        "k": k,
        "a": b.affine(unit, scale=-1.0),
        "b": b.affine(unit, times=rate),
        "v": v,
    }
    y = _head_norm(b, b.dplr(views, sizes.n_head, sizes.head, sizes.head), prefix, sizes.head)
    bonus = b.dot(b.affine(r, times=vectors(b, prefix + "time_mix_r_k", 1)[0]), k, sizes.n_head)
    y = b.gate(v, bonus, y, fn="none")
    gate = b.glu(b.linear(mixed["g"], prefix + "time_mix_g1", sizes.gate), None, "sigmoid")
    return b.glu(b.linear(gate, prefix + "time_mix_g2", n), y, "none"), first


def _low_rank(b: Builder, x: View, prefix: str, name: str, rank: int, fn: str) -> View:
    """w0 + w2 fn(w1 x)"""
    inner = b.glu(b.linear(x, f"{prefix}time_mix_{name}1", rank), None, fn)
    matrix = b.tensors.matrix(f"{prefix}time_mix_{name}2.weight", x.width, rank)
    out = Value(x.width, x.value.outputs).view()
    b.append(ops.Linear(x.value.outputs, inner, [Part(matrix, out, vectors(b, f"{prefix}time_mix_{name}0", 1)[0])]))
    return out


def _head_norm(b: Builder, y: View, prefix: str, group: int) -> View:
    """A layer norm of every head, with weights of their own."""
    weight = vectors(b, prefix + "time_mix_ln", 1)[0]
    bias = b.tensors.vector(f"{prefix}time_mix_ln.bias", y.width)
    b.append(ops.Norm(False, y, y, "layer", group, weight, bias, HEAD_NORM_EPSILON))
    return y
