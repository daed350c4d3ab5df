"""How an engine is set up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    from oxillama.engine.api.types import SamplerParams

Progress = Callable[[float], None]
"""Called with the share of the weights that is ready, 0 to 1, from the thread that loads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """The settings of an engine. None lets the engine or the model choose.

    n_threads: threads of a step; None: one for each core that the process may use, or each processor of
    cpu_affinity. cpu_affinity: the processors that threads are bound to, one each, in this order; None: any. n_ctx:
    tokens of a request, with completion; None: what the model was trained for, at most DEFAULT_N_CTX. parallel:
    requests that run at once. n_batch: most tokens in a step. n_prefill_shared: most prompt tokens in a step while
    other requests decode, because these wait for all of it. kv_pages: KV cache pages in all; None: enough for
    FULL_CONTEXTS requests of n_ctx tokens (or `parallel`, if that is less), shared by all requests, since few fill
    their context. kv_type: "auto", "f32", "f16", "i16" or "q8_0", as for load_model. pooling: how a text becomes a
    vector ("mean", "cls", "last", "none") or scores ("rank"); None: as the file says. max_waiting: requests that
    may wait beyond those that run. max_generation_s: seconds after which a generation ends with GenerationError,
    waiting included. model_name: None: from the file. sampling: defaults for requests; fields that are None take
    the model file's recommendation.

    Raises InvalidParameterError, with `param` naming the field.
    """

    n_threads: int | None = None
    cpu_affinity: tuple[int, ...] | None = None
    n_ctx: int | None = None
    parallel: int = 8
    n_batch: int = 512
    n_prefill_shared: int = 64
    kv_pages: int | None = None
    kv_type: str = "auto"
    pooling: str | None = None
    max_waiting: int = 64
    max_generation_s: float = 3600.0
    model_name: str | None = None
    sampling: SamplerParams | None = None

    def __post_init__(self) -> None:
        for name in ("n_threads", "n_ctx", "parallel", "n_batch", "n_prefill_shared", "kv_pages"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidParameterError(f"Invalid '{name}': {value} is not at least 1.", param=name)
        if self.max_waiting < 0:
            raise InvalidParameterError(f"Invalid 'max_waiting': {self.max_waiting} is negative.", param="max_waiting")
        if not self.max_generation_s > 0:
            raise InvalidParameterError(
                f"Invalid 'max_generation_s': {self.max_generation_s} is not positive.", param="max_generation_s"
            )
        if self.parallel > self.n_batch:
            raise InvalidParameterError(
                f"Invalid 'parallel': {self.parallel} requests at once need an n_batch of at least as many tokens, "
                f"not {self.n_batch}.",
                param="parallel",
            )


PAGE_TOKENS = 32
"""Tokens of a page of the KV cache: the core's constant, for modules that do not load the core."""

DEFAULT_N_CTX = 8192
"""The largest context of a request by default."""

FULL_CONTEXTS = 4
"""How many requests with a full context the KV cache holds by default."""
