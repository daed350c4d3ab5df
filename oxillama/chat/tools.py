"""The tools that a request offers, and which of them the model may or must call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call.

    parameters: the JSON schema of its arguments; None: it takes none. strict: the arguments must match the schema.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """Whether the model calls tools.

    mode: "none": no calls; "auto": the model decides; "required": at least one call. names: only these tools may be
    called; None: all that are offered. A named function is "required" with one name.
    """

    mode: Literal["none", "auto", "required"] = "auto"
    names: frozenset[str] | None = None

    def allowed(self, tools: Sequence[Tool]) -> tuple[Tool, ...]:
        """The tools of the request that may be called."""
        if self.mode == "none":
            return ()
        return tuple(tool for tool in tools if self.names is None or tool.name in self.names)
