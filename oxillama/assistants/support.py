"""The settings that runs support. Others are refused when an assistant or a run is created."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxillama.errors import InvalidParameterError

PLAIN_FORMATS = ("auto", {"type": "text"})


def require_supported(
    *,
    tools: Sequence[dict[str, Any]] = (),
    response_format: str | dict[str, Any] = "auto",
    tool_choice: str | dict[str, Any] = "auto",
) -> None:
    """Raise InvalidParameterError (`unsupported_parameter`) for the first setting that runs do not support."""
    if tools and tool_choice != "none":
        raise _unsupported("tools", "runs cannot use tools; pass `tools: []`")
    if tool_choice not in ("none", "auto"):
        raise _unsupported("tool_choice", "there are no tools to choose from")
    if response_format not in PLAIN_FORMATS:
        raise _unsupported("response_format", "runs can only be asked for text")


def _unsupported(param: str, why: str) -> InvalidParameterError:
    message = f"Unsupported parameter: '{param}' is not supported by this server: {why}."
    return InvalidParameterError(message, param=param, code="unsupported_parameter")
