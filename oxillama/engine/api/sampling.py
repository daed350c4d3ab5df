"""The sampling defaults. There are no others.

A field that a request leaves at None takes its value from EngineConfig.sampling (a server's configuration, options of
the command line), else from the model's file (`general.sampling.*`), else from SamplerSettings, whose values are
llama.cpp's.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from oxillama.engine.api.types import SamplerParams
from oxillama.errors import InvalidParameterError, ModelFormatError

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """SamplerParams with a value for every field."""

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

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
    "general.sampling.penalty_repeat": "repeat_penalty",
    "general.sampling.penalty_last_n": "repeat_last_n",
}
_WHOLE = frozenset({"top_k", "repeat_last_n"})

# Keys for steps that are not implemented, and the value that turns each one off.
_UNSUPPORTED = {"general.sampling.mirostat": 0.0, "general.sampling.xtc_probability": 0.0}


def file_sampling(gguf: GGUFFile) -> SamplerParams:
    """The recommendations in a model file. One that cannot be followed is logged and left out.

    `general.sampling.sequence` has no effect: the order of the steps is fixed (docs/python.md).
    """
    found: dict[str, float | int] = {}
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
    for key, off in _UNSUPPORTED.items():
        try:
            value = _number(gguf, key)
        except ModelFormatError:
            continue
        if value is not None and value > off:
            _log.warning("%s: ignoring %s: this sampler is not implemented", gguf.path, key)
    return SamplerParams(**found)  # type: ignore[arg-type]


def _number(gguf: GGUFFile, key: str) -> float | int | None:
    """A number of any type; None when the key is absent. Raises ModelFormatError."""
    kind = gguf.metadata_types.get(key, "")
    value = gguf.get_float(key) if kind in ("f32", "f64") else gguf.get_int(key)
    # A file holds 0.95 as the f32 beside it, which is shown and compared as 0.949999988: take the shortest decimal.
    return float(f"{value:.7g}") if kind == "f32" and value is not None and math.isfinite(value) else value
