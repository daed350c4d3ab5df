"""The parameters of samplers that requests and the server's settings have in common (docs/python.md).

They have the names that llama.cpp's server and other local servers use.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

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
]
"""`typ_p` is llama.cpp's name of `typical_p`."""


class SamplerFields(msgspec.Struct, kw_only=True):
    """None leaves the value to the model's defaults."""

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

    def sampler_values(self) -> dict[str, float | int | None]:
        """These fields as those of `SamplerParams`."""
        values = {name: getattr(self, name) for name in SamplerFields.__struct_fields__}
        if self.top_n_sigma is not None:
            values["top_n_sigma"] = max(self.top_n_sigma, 0.0)  # llama.cpp's server takes -1 for "off"
        return values
