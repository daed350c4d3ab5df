"""Make a GGUF file with a published model's shape and random weights: enough to measure speed.

    python benchmarks/make_model.py OUT.gguf --shape tinyllama-1.1b --type Q4_K_M [--vocab REAL.gguf]

Each type's blocks come from one pool, quantised from a Gaussian with the spread of an initialised network, so that
logits stay finite; a tensor is a random choice of blocks from the pool. The tensors of a mix get the types that
llama-quantize would choose. Without --vocab the vocabulary is synthetic.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
from shapes import SHAPES, Metadata, Shape, Tensor
from vocabulary import copied, made_up

from oxillama.core._core import quantize, tensor_types
from oxillama.gguf import GGUFFile, GGUFWriter
from oxillama.quant.mixes import NAMES, Traits, choose, is_quantized, layers_of

DEFAULT_FOLDER = Path(__file__).resolve().parents[1] / "build" / "models"
POOL_BLOCKS = 4096
CHUNK_BYTES = 16 * 2**20
SPREAD = 0.02  # standard deviation of the weights

TYPES = {name: (number, block, size) for number, (name, block, size) in tensor_types().items()}


@cache
def pool(type_name: str) -> npt.NDArray[np.uint8]:
    """Blocks of quantised Gaussian weights [n_blocks, bytes per block]."""
    number, block, size = TYPES[type_name]
    n_blocks = max(POOL_BLOCKS, 2**16 // block)
    values = np.random.default_rng(number).normal(0.0, SPREAD, n_blocks * block).astype(np.float32)
    return np.frombuffer(quantize(number, values), np.uint8).reshape(n_blocks, size)


def types_of(mix: str, shape: Shape) -> dict[str, str]:
    """The type of every tensor in a file quantised as `mix`."""
    tensors = {tensor.name: tensor.shape for tensor in shape.tensors()}
    traits = Traits(shape.arch, shape.n_layer, shape.n_head // shape.n_head_kv, 0, shape.tied, layers_of(tensors))
    return {
        name: choose(mix, name, dims, traits) if is_quantized(name, dims) else "F32" for name, dims in tensors.items()
    }


def content(tensor: Tensor, type_name: str, rng: np.random.Generator) -> Iterator[bytes | memoryview]:
    """A tensor's bytes in pieces."""
    if not tensor.is_matrix:
        value = 1 if tensor.name.endswith("norm.weight") else -1 if tensor.role == "ssm_a" else 0
        yield np.full(tensor.shape, value, np.float32).data.cast("B")
        return
    blocks = pool(type_name)
    left = prod(tensor.shape) // TYPES[type_name][1]
    while left:
        n = min(left, CHUNK_BYTES // blocks.shape[1])
        yield blocks[rng.integers(0, len(blocks), n)].data.cast("B")
        left -= n


def metadata(shape: Shape, mix: str, vocabulary: Metadata) -> Metadata:
    """Every key of the file: GGUF type and value."""
    a = shape.arch
    if a == "bert":
        vocabulary = vocabulary | {"tokenizer.ggml.token_type_count": ("u32", 2)}
    keys: Metadata = {
        "general.architecture": ("str", a),
        "general.name": ("str", f"synthetic {shape.name} {mix}"),
        f"{a}.vocab_size": ("u32", shape.n_vocab),
        f"{a}.context_length": ("u32", shape.n_ctx),
        f"{a}.embedding_length": ("u32", shape.n_embd),
        f"{a}.block_count": ("u32", shape.n_layer),
        f"{a}.feed_forward_length": ("u32", shape.n_ff),
        f"{a}.attention.head_count": ("u32", shape.n_head),
        f"{a}.attention.head_count_kv": ("u32", shape.n_head_kv),
        f"{a}.attention.layer_norm_rms_epsilon": ("f32", shape.rms_eps),
        f"{a}.rope.dimension_count": ("u32", shape.n_rot or shape.d_head),
        f"{a}.rope.freq_base": ("f32", shape.rope_base),
    }
    if shape.head_dim:
        keys |= {f"{a}.attention.{k}_length": ("u32", shape.head_dim) for k in ("key", "value")}
    return keys | {f"{a}.{key}": value for key, value in shape.keys().items()} | vocabulary


def make(out: Path, shape: Shape, mix: str, *, vocab: Path | None = None, seed: int = 0) -> None:
    """Write the model. A vocabulary from a file decides the number of tokens."""
    vocabulary = copied(vocab) if vocab else made_up(shape.n_vocab)
    shape = shape.with_vocabulary(len(vocabulary["tokenizer.ggml.tokens"][1]))
    types = types_of(mix, shape)
    rng = np.random.default_rng(seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with GGUFWriter(out) as writer:
        for key, (kind, value) in metadata(shape, mix, vocabulary).items():
            writer.add(key, value, kind)
        for tensor in shape.tensors():
            writer.add_tensor_info(tensor.name, types[tensor.name], tensor.shape)
        for tensor in shape.tensors():
            writer.write_tensor(tensor.name, content(tensor, types[tensor.name], rng))


def made(shape: str, mix: str, folder: Path = DEFAULT_FOLDER) -> Path:
    """The path of a model in `folder`; makes the model if it is missing."""
    path = folder / f"{shape}-{mix}.gguf"
    if not path.exists():
        print(f"making {path}", file=sys.stderr)
        make(path, SHAPES[shape], mix)
    return path


def share_of_experts(gguf: GGUFFile) -> float:
    """The part of the experts that works on a token; 1 without experts."""
    arch = gguf.metadata["general.architecture"]
    used, n = (gguf.metadata.get(f"{arch}.expert_{key}", 1) for key in ("used_count", "count"))
    return float(used / n)


def weight_bytes_per_token(path: Path) -> int:
    """Bytes of weights that decoding one token reads: all but the embedding table, of which one row is read unless
    it is also the output matrix, and the experts that do not work on it."""
    gguf = GGUFFile(path)
    tied, share = "output.weight" not in gguf.tensors, share_of_experts(gguf)
    read = {name: t for name, t in gguf.tensors.items() if tied or name != "token_embd.weight"}
    return round(sum(t.n_bytes * (share if "_exps" in name else 1) for name, t in read.items()))


def weights_per_token(path: Path) -> int:
    """Weights that prefill multiplies for each token: all matrices except the embedding table and the output matrix,
    which only the last token needs, and the experts that do not work on it."""
    gguf = GGUFFile(path)
    matrices = {name: t for name, t in gguf.tensors.items() if len(t.shape) > 1}
    share = share_of_experts(gguf)
    return round(
        sum(
            prod(t.shape) * (share if "_exps" in name else 1)
            for name, t in matrices.items()
            if name not in ("token_embd.weight", "output.weight")
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="tinyllama-1.1b")
    parser.add_argument("--type", choices=NAMES, default="Q4_K_M", help="a type, or a mix of them")
    parser.add_argument("--vocab", type=Path, metavar="FILE", help="take the vocabulary from this GGUF file")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    make(args.out, SHAPES[args.shape], args.type, vocab=args.vocab, seed=args.seed)
    size = args.out.stat().st_size / 1e6
    print(f"{args.out}: {size:.0f} MB in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
