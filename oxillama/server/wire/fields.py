"""Fields that requests of several APIs have in common. null is "not given"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

MAX_TEXT = 256_000

MetadataKey = Annotated[str, msgspec.Meta(max_length=64)]
MetadataValue = Annotated[str, msgspec.Meta(max_length=512)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], msgspec.Meta(max_length=16)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
TopP = Annotated[float, msgspec.Meta(ge=0, le=1)]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
FunctionName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class ModifyMetadata(msgspec.Struct, kw_only=True):
    """What may be changed of a message or a run."""

    metadata: Metadata | None = None


def given(wire: msgspec.Struct) -> dict[str, Any]:
    """The fields of a request that were given, as they are stored."""
    return {name: value for name, value in msgspec.to_builtins(wire).items() if value is not None}
