"""The sampling defaults. There are no others.

A field that a request leaves at None takes its value from EngineConfig.sampling (a server's configuration, options of
the command line), else from the model's file (`general.sampling.*`), else from SamplerSettings, whose values are
llama.cpp's.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from oxillama.engine.api.samplers import SAMPLERS, sampler_order
from oxillama.engine.api.types import SamplerParams
from oxillama.errors import InvalidParameterError, ModelFormatError

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """SamplerParams with a value for every field."""

    temperature: float = 0.8
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    top_a: float = 0.0
    top_n_sigma: float = 0.0
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = 64
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    samplers: tuple[str, ...] = SAMPLERS

    def with_params(self, params: SamplerParams | None) -> SamplerSettings:
        """These settings, overridden by the fields that `params` sets."""
        if params is None:
            return self
        given = {field.name: getattr(params, field.name) for field in fields(SamplerParams)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})


# Keys that converters write from a model's generation_config.json (gguf-py's constants.py), and our fields.
_FILE_KEYS = {
    "general.sampling.temp": "temperature",
    "general.sampling.top_k": "top_k",
    "general.sampling.top_p": "top_p",
    "general.sampling.min_p": "min_p",
    "general.sampling.xtc_probability": "xtc_probability",
    "general.sampling.xtc_threshold": "xtc_threshold",
    "general.sampling.penalty_repeat": "repeat_penalty",
    "general.sampling.penalty_last_n": "repeat_last_n",
    "general.sampling.mirostat": "mirostat",
    "general.sampling.mirostat_tau": "mirostat_tau",
    "general.sampling.mirostat_eta": "mirostat_eta",
}
_WHOLE = frozenset({"top_k", "repeat_last_n", "mirostat"})
_ORDER_KEY = "general.sampling.sequence"


def file_sampling(gguf: GGUFFile) -> SamplerParams:
    """The recommendations in a model file. One that cannot be followed is logged and left out."""
    found: dict[str, Any] = {}
    for key, name in _FILE_KEYS.items():
        try:
            value = _number(gguf, key)
            if value is None:
                continue
            if name in ("temperature", "top_k"):
                value = max(value, 0)  # negative values mean greedy, and no limit
            if name in _WHOLE:
                value = int(value)
            SamplerParams(**{name: value})  # type: ignore[arg-type]
            found[name] = value
        except (ModelFormatError, InvalidParameterError, ValueError) as error:
            _log.warning("%s: ignoring %s: %s", gguf.path, key, error)
    try:
        order = gguf.get_str(_ORDER_KEY)
        if order:
            found["samplers"] = sampler_order(order)
    except (ModelFormatError, InvalidParameterError) as error:
        _log.warning("%s: ignoring %s: %s", gguf.path, _ORDER_KEY, error)
    return SamplerParams(**found)


def _number(gguf: GGUFFile, key: str) -> float | int | None:
    """A number of any type; None when the key is absent. Raises ModelFormatError."""
    kind = gguf.metadata_types.get(key, "")
    value = gguf.get_float(key) if kind in ("f32", "f64") else gguf.get_int(key)
    # A file holds 0.95 as the f32 beside it, which is shown and compared as 0.949999988: take the shortest decimal.
    return float(f"{value:.7g}") if kind == "f32" and value is not None and math.isfinite(value) else value
