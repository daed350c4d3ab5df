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


class ModifyMetadata(msgspec.Struct, kw_only=True):
    """The fields of a message or a run that can be changed."""

    metadata: Metadata | None = None


def given(wire: msgspec.Struct) -> dict[str, Any]:
    """The fields of a request that were given, as they are stored."""
    return {name: value for name, value in msgspec.to_builtins(wire).items() if value is not None}
