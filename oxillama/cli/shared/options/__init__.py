"""The options that several commands share, and groups of them."""

from oxillama.cli.shared.options.common import (
    CpuAffinity,
    CtxSize,
    Json,
    KVType,
    Model,
    PoolingKind,
    Threads,
    given_path,
    model_or_embedded,
    require_model,
)
from oxillama.cli.shared.options.groups import with_groups
from oxillama.cli.shared.options.sampling import SamplerOptions, SamplingOptions, checked_params

__all__ = [
    "CpuAffinity",
    "CtxSize",
    "Json",
    "KVType",
    "Model",
    "PoolingKind",
    "SamplerOptions",
    "SamplingOptions",
    "Threads",
    "checked_params",
    "given_path",
    "model_or_embedded",
    "require_model",
    "with_groups",
]
