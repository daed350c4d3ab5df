"""The options that several commands share, and groups of them."""

from oxillama.cli.shared.options.common import (
    CtxSize,
    Json,
    KVType,
    Model,
    Threads,
    given_path,
    model_or_embedded,
    require_model,
)
from oxillama.cli.shared.options.groups import with_groups
from oxillama.cli.shared.options.sampling import SamplerOptions, SamplingOptions

__all__ = [
    "CtxSize",
    "Json",
    "KVType",
    "Model",
    "SamplerOptions",
    "SamplingOptions",
    "Threads",
    "given_path",
    "model_or_embedded",
    "require_model",
    "with_groups",
]
