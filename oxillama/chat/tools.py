"""The tools that a request offers, and which of them the model may or must call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from oxillama.errors import InvalidParameterError


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


def check_parameters(tool: Tool, path: str) -> None:
    """Raise InvalidParameterError for a schema of arguments whose type is no object. path: where the schema is given.

    Arguments are an object in every format of calls, so a call with such a schema could not be read back.
    """
    schema = tool.parameters or {}
    kind = schema.get("type", "object")
    if kind == "object" or (isinstance(kind, list | tuple) and "object" in kind):
        return
    got = json.dumps(kind, ensure_ascii=False, default=str)[:100]
    problem = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {got}'"
    message = f"Invalid schema for function '{tool.name}': {problem}."
    raise InvalidParameterError(message, param=path, code="invalid_function_parameters")
