"""The settings that runs support. Others are refused when an assistant or a run is created."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxillama.assistants.records import Run
from oxillama.assistants.run.tools.offered import offered, offered_by
from oxillama.chat import Message, prepare, takes_tools
from oxillama.engine.api.protocol import EngineLike
from oxillama.errors import InvalidParameterError

CODE = "code_interpreter"


def require_supported(
    *,
    tools: Sequence[dict[str, Any]] = (),
    response_format: str | dict[str, Any] = "auto",
    tool_choice: str | dict[str, Any] = "auto",
) -> None:
    """Raise InvalidParameterError for the first setting that no run could honour."""
    for at, tool in enumerate(tools):
        if tool["type"] == CODE:
            raise _no_code(f"tools[{at}].type", "tools")
    if isinstance(tool_choice, dict) and tool_choice.get("type") == CODE:
        raise _no_code("tool_choice.type", "tool_choice")
    if tool_choice == {"type": "file_search"} and not any(tool["type"] == "file_search" for tool in tools):
        message = "Invalid value for 'tool_choice': 'file_search' is not in 'tools'."
        raise InvalidParameterError(message, param="tool_choice", code="invalid_value")
    offered(tools, choice=tool_choice, response_format=response_format)


async def require_possible(engine: EngineLike, run: Run) -> None:
    """Raise InvalidParameterError for settings of a run that its model cannot honour, such as a schema that is wrong.

    They are prepared as for a reply, so that a run cannot fail on them later.
    """
    require_supported(tools=run.tools, response_format=run.response_format, tool_choice=run.tool_choice)
    if run.tools or not isinstance(run.response_format, str):
        asked = offered_by(run, first=True, can_search=await takes_tools(engine), search_again=True)
        await prepare(engine, [Message(role="user", content="")], asked.options, replay=False)


def _no_code(path: str, param: str) -> InvalidParameterError:
    message = (
        f"Unsupported value: '{path}' does not support '{CODE}': this server does not run code that a model wrote. "
        "Offer a function instead, and run the code where you trust it."
    )
    return InvalidParameterError(message, param=param, code="unsupported_value")
