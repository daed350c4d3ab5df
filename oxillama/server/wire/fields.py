"""Fields that requests of several APIs share. null is "not given"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

MAX_TEXT = 256_000
END = r"$(?!\n)"
"""The end of a pattern. Python's `$` also matches before a final newline, ECMA's does not."""

MetadataKey = Annotated[str, msgspec.Meta(max_length=64)]
MetadataValue = Annotated[str, msgspec.Meta(max_length=512)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], msgspec.Meta(max_length=16)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
TopP = Annotated[float, msgspec.Meta(ge=0, le=1)]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
FunctionName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}" + END)]

# Types of fields that would change the answer but are not supported. They accept null, and the empty values that
# clients send by default. Anything else is refused as unsupported (`wire.invalid`).
NoValue = Annotated[None, msgspec.Meta(description="Not supported.")]
NoText = Annotated[Annotated[str, msgspec.Meta(max_length=0)] | None, msgspec.Meta(description="Not supported.")]
NoList = Annotated[Annotated[list[Any], msgspec.Meta(max_length=0)] | None, msgspec.Meta(description="Not supported.")]


def accepts(schema: dict[str, Any], description: str | None = None) -> msgspec.Meta:
    """Declares the accepted values of a field whose type also has values that are refused with a special message."""
    return msgspec.Meta(extra={ACCEPTS: schema}, description=description)


ACCEPTS = "accepts"
"""The key under which the description finds the argument of `accepts`."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Factor = Annotated[float, msgspec.Meta(ge=0, le=100)]
Window = Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
SamplerName = Literal[
    "penalties",
    "dry",
    "temperature",
    "top_n_sigma",
    "top_k",
    "typical_p",
    "typ_p",
    "top_p",
    "min_p",
    "top_a",
    "epsilon_cutoff",
    "eta_cutoff",
    "xtc",
    "infill",
]
"""`typ_p` is llama.cpp's name of `typical_p`; `infill` is a step that only llama.cpp has."""


class SamplerFields(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of samplers in requests and in the server's settings (docs/python.md), by the names that llama.cpp's
    server and other local servers use. None leaves the value to the model's defaults."""

    dynatemp_range: Factor | None = None
    dynatemp_exponent: Factor | None = None
    typical_p: Share | None = None
    top_a: Share | None = None
    top_n_sigma: Annotated[float, msgspec.Meta(ge=-1, le=100)] | None = None
    epsilon_cutoff: Share | None = None
    eta_cutoff: Share | None = None
    xtc_probability: Share | None = None
    xtc_threshold: Share | None = None
    dry_multiplier: Factor | None = None
    dry_base: Annotated[float, msgspec.Meta(ge=1, le=100)] | None = None
    dry_allowed_length: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    dry_penalty_last_n: Window | None = None
    mirostat: Annotated[int, msgspec.Meta(ge=0, le=2)] | None = None
    mirostat_tau: Factor | None = None
    mirostat_eta: Share | None = None

    def sampler_values(self) -> dict[str, Any]:
        """These fields as those of `SamplerParams`."""
        values: dict[str, Any] = {name: getattr(self, name) for name in SamplerFields.__struct_fields__}
        if self.top_n_sigma is not None:
            values["top_n_sigma"] = max(self.top_n_sigma, 0.0)  # llama.cpp's server takes -1 for "off"
        return values


class ModifyMetadata(msgspec.Struct, kw_only=True):
    """The fields of a message or a run that can be changed."""

    metadata: Metadata | None = None


def given(wire: msgspec.Struct) -> dict[str, Any]:
    """The fields of a request that were given, as they are stored."""
    return {name: value for name, value in msgspec.to_builtins(wire).items() if value is not None}
