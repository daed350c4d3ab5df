"""Describes a model file, checked as a whole without touching its weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from oxillama.core._core import CACHE_TYPES, PAGE_TOKENS, quick_cache_type
from oxillama.errors import InvalidParameterError
from oxillama.models.graph.builder import Builder
from oxillama.models.index import find_architecture
from oxillama.models.memory import DEFAULT_BATCH, bytes_per_token, sequence_memory
from oxillama.models.params.common import HParams
from oxillama.models.params.keys import read_architecture
from oxillama.models.params.pooling import POOLINGS

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """A summary for people and machines. Sizes are in bytes; `tensor_types` counts tensors by type,
    `kv_bytes_per_token` is what each token of a sequence adds to a key/value cache of each type, `windows` counts
    layers by how many tokens they see ("all" without a limit). `memory` is what the weights and one sequence of the
    trained context take, with the default type of keys and values: `cache` is for layers that see everything, `windows`
    for those with a window, `states` for recurrent states."""

    architecture: str
    name: str | None
    parameters: int
    quantization: str
    file_bytes: int
    packed_bytes: int
    context_length: int
    layers: int
    embedding_length: int
    feed_forward_length: int
    heads: int
    kv_heads: int
    head_dim: int
    windows: dict[str, int]
    experts: int
    experts_used: int
    kv_bytes_per_token: dict[str, int]
    memory: dict[str, int]
    rope_base: float
    rope_scaling: str
    rope_factor: float
    vocabulary: int
    tokenizer: str | None
    chat_template: bool
    tensors: int
    tensor_types: dict[str, int]


def read_params(gguf: GGUFFile, pooling: str | None = None) -> HParams:
    """The hyper-parameters. Raises as `build_graph` does."""
    if pooling is not None and pooling not in POOLINGS:
        raise InvalidParameterError(
            f"Invalid 'pooling': {pooling[:40]!r} is not one of {', '.join(POOLINGS)}.", param="pooling"
        )
    name = read_architecture(gguf)
    hparams = find_architecture(gguf, name).hparams(gguf, name)
    return hparams if pooling is None else replace(hparams, pooling=replace(hparams.pooling, kind=pooling))


def build_graph(gguf: GGUFFile, n_ctx: int | None = None, pooling: str | None = None) -> Builder:
    """Read, check and describe the model. Every possible fault of the file is found here.

    n_ctx None: the context the model was trained with. pooling: one of POOLINGS; None: as the file says.
    Raises ModelFormatError or ModelUnsupportedError, and InvalidParameterError for what the model cannot do.
    """
    name = read_architecture(gguf)
    architecture = find_architecture(gguf, name)
    hparams = read_params(gguf, pooling)
    builder = Builder(gguf, hparams, n_ctx or hparams.n_ctx_train)
    architecture.build(builder)
    builder.tensors.refuse_unused(name)
    return builder


def check_vocabulary(gguf: GGUFFile) -> None:
    """A model may have no tokenizer. If it has one, it must work, and the chat templates must be strings."""
    if gguf.get_str("tokenizer.ggml.model", "none") not in ("none", "no_vocab"):
        from oxillama.text import ChatTemplate, Tokenizer

        ChatTemplate.from_gguf(gguf, Tokenizer.from_gguf(gguf))


def describe_model(gguf: GGUFFile) -> ModelDescription:
    """Check the whole model (hyper-parameters, tensors, vocabulary) without touching weights, and summarise it.

    load_model loads every file that this accepts. Raises ModelFormatError or ModelUnsupportedError naming the file and
    the key or tensor.
    """
    builder = build_graph(gguf)
    check_vocabulary(gguf)
    hp = builder.hparams
    types = Counter(info.type_name for info in gguf.tensors.values())
    return ModelDescription(
        architecture=hp.architecture,
        name=gguf.get_str("general.name"),
        parameters=sum(info.n_elements for info in gguf.tensors.values()),
        quantization=_quantization(gguf),
        file_bytes=gguf.file_bytes,
        packed_bytes=builder.tensors.packed_bytes,
        context_length=hp.n_ctx_train,
        layers=hp.n_layer,
        embedding_length=hp.n_embd,
        feed_forward_length=max(hp.n_ff),
        heads=max(shape.n_head for shape in hp.heads),
        kv_heads=max(shape.n_kv for shape in hp.heads),
        head_dim=max(shape.key_dim for shape in hp.heads),
        windows=_windows(hp),
        experts=hp.experts.n if hp.experts else 0,
        experts_used=hp.experts.n_used if hp.experts else 0,
        kv_bytes_per_token={name: bytes_per_token(sequence_memory(builder.graph, name)) for name in CACHE_TYPES},
        memory=_memory(builder, default_cache_type(gguf, hp)),
        rope_base=hp.rope.base,
        rope_scaling=hp.rope.kind,
        rope_factor=hp.rope.factor,
        vocabulary=hp.n_vocab,
        tokenizer=gguf.get_str("tokenizer.ggml.model"),
        chat_template=gguf.get_str("tokenizer.chat_template") is not None,
        tensors=len(gguf.tensors),
        tensor_types=dict(sorted(types.items())),
    )


def _memory(builder: Builder, cache_type: str) -> dict[str, int]:
    n_pages = -(-builder.hparams.n_ctx_train // PAGE_TOKENS)
    use = sequence_memory(builder.graph, cache_type).of(n_pages=n_pages, n_batch=DEFAULT_BATCH, n_active=1, n_saved=0)
    return {"weights": builder.tensors.packed_bytes} | asdict(use)


def _windows(hp: HParams) -> dict[str, int]:
    """How many layers see how many tokens; empty if all layers see everything."""
    if not any(hp.windows):
        return {}
    counts = Counter(hp.windows)
    return {str(window or "all"): counts[window] for window in sorted(counts)}


# Meanings of general.file_type: the mixes of types that quantisers make.
FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
    39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}  # fmt: skip


def _quantization(gguf: GGUFFile) -> str:
    """The file's stated type, or else the type with most of the weights' bytes."""
    stated = gguf.get_int("general.file_type")
    if stated in FILE_TYPES:
        return FILE_TYPES[stated]
    sizes: Counter[str] = Counter()
    for info in gguf.tensors.values():
        sizes[info.type_name] += info.n_bytes
    return sizes.most_common(1)[0][0] if sizes else "none"


def default_cache_type(gguf: GGUFFile, hparams: HParams) -> str:
    """F32 if all matrices are: such a model is run for exactness. F32 too where no step reads what an earlier one
    stored: storing less would only cost time. Else the 16-bit type that is faster here."""
    exact = all(info.type_name == "F32" for info in gguf.tensors.values() if len(info.shape) > 1)
    return "f32" if exact or not hparams.causal else quick_cache_type()


__all__ = ["HParams", "ModelDescription", "build_graph", "default_cache_type", "describe_model"]
