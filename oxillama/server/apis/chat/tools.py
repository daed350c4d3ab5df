"""Chat requests: the functions that the model may call, in the present form and in the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from oxillama.chat.tools import Tool, ToolChoice, check_parameters
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.fields import FunctionName
from oxillama.server.wire.tools import FunctionDefinition

MAX_TOOLS = 128


class ChatTool(msgspec.Struct, kw_only=True):
    type: Literal["function"]
    function: FunctionDefinition


class ChosenFunction(msgspec.Struct, kw_only=True):
    name: FunctionName


class NamedTool(msgspec.Struct, kw_only=True, tag_field="type", tag="function"):
    """The model must call this function."""

    function: ChosenFunction


class AllowedTool(msgspec.Struct, kw_only=True):
    type: Literal["function"]
    function: ChosenFunction


class AllowedSet(msgspec.Struct, kw_only=True):
    """mode: the model may (`auto`) or must (`required`) call one of these functions."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[AllowedTool], msgspec.Meta(min_length=1, max_length=MAX_TOOLS)]


class AllowedTools(msgspec.Struct, kw_only=True, tag_field="type", tag="allowed_tools"):
    """The model sees all tools of the request, and may call these. Prompts stay the same, so they stay cached."""

    allowed_tools: AllowedSet


Tools = Annotated[list[ChatTool], msgspec.Meta(max_length=MAX_TOOLS)]
Functions = Annotated[list[FunctionDefinition], msgspec.Meta(max_length=MAX_TOOLS)]
Choice = Literal["none", "auto", "required"] | NamedTool | AllowedTools
LegacyChoice = Literal["none", "auto"] | ChosenFunction


def offered(functions: Sequence[FunctionDefinition], param: str) -> tuple[Tool, ...]:
    """The tools of a request. param: its field.

    Raises APIError for two of one name, and InvalidParameterError for parameters that are no object.
    """
    names: set[str] = set()
    for function in functions:
        if function.name in names:
            message = f"Invalid '{param}': there are two functions '{function.name}'."
            raise bad_request(message, param=param, code="invalid_value")
        names.add(function.name)
    tools = tuple(map(_tool, functions))
    for at, tool in enumerate(tools):
        check_parameters(tool, f"{param}[{at}].{'function.' if param == 'tools' else ''}parameters")
    return tools


def chosen(choice: Choice | LegacyChoice | None, tools: Sequence[Tool], param: str, of: str) -> ToolChoice:
    """Which tools the model may or must call. Raises APIError for one that is not there.

    param, of: the fields with the choice and with the tools.
    """
    match choice:
        case None:
            return ToolChoice()
        case NamedTool(function=function) | (ChosenFunction() as function):
            found = ToolChoice(mode="required", names=frozenset({function.name}))
        case AllowedTools(allowed_tools=allowed):
            found = ToolChoice(mode=allowed.mode, names=frozenset(tool.function.name for tool in allowed.tools))
        case mode:
            found = ToolChoice(mode=mode)
    if not tools and (found.mode == "required" or found.names):
        message = f"Invalid value for '{param}': '{param}' is only allowed when '{of}' are specified."
        raise bad_request(message, param=param, code="invalid_value")
    unknown = sorted((found.names or frozenset()) - {tool.name for tool in tools})
    if unknown:
        message = f"Invalid value for '{param}': '{unknown[0]}' is not in '{of}'."
        raise bad_request(message, param=param, code="invalid_value")
    return found


def _tool(function: FunctionDefinition) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=function.parameters,
        strict=bool(function.strict),
    )
