"""What a run offers its model: functions of the client, the search in files, and the form of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

from oxillama.assistants.records import Run
from oxillama.chat.mappings import choice_of, format_of_answer, tools_of
from oxillama.chat.options import ChatOptions, Effort, Thinking
from oxillama.chat.tools import Tool, ToolChoice, check_parameters

SEARCH = "file_search"
_SEARCH_TOOL = Tool(
    name=SEARCH,
    description=(
        "Searches the files of this conversation. Returns the passages that fit best, each after its mark. To cite a "
        "passage, write its mark behind the sentence that it supports."
    ),
    parameters={
        "type": "object",
        "properties": {"query": {"type": "string", "description": "What to look for."}},
        "required": ["query"],
    },
)


@dataclass(frozen=True, slots=True)
class Offered:
    """What one reply may do. search: the name under which the model calls the search; None: it cannot."""

    options: ChatOptions
    search: str | None

    @property
    def may_call(self) -> bool:
        """Whether the reply may be calls."""
        return bool(self.options.choice.allowed(self.options.tools))


def offered(
    tools: Sequence[Mapping[str, Any]],
    *,
    choice: str | Mapping[str, Any] = "auto",
    response_format: str | Mapping[str, Any] = "auto",
    parallel: bool = True,
    effort: str | None = None,
    can_search: bool = True,
    search_again: bool = True,
) -> Offered:
    """What a reply is offered under these settings, which have the form of the API.

    can_search: the model takes tools, so it may call the search itself. search_again: it has not searched too often.
    The model sees the search all the same, so that the prompt stays the same.

    Raises InvalidParameterError for settings that cannot be honoured.
    """
    functions = _functions(tools)
    search: str | None = None
    if can_search and any(tool["type"] == SEARCH for tool in tools):
        names = {tool.name for tool in functions}
        search = next(name for name in (SEARCH, "search_files", "search_in_files", "_" + SEARCH) if name not in names)
        functions = (*functions, replace(_SEARCH_TOOL, name=search))
    asked = ToolChoice()
    if choice == {"type": SEARCH}:
        asked = ToolChoice() if search is None else ToolChoice(mode="required", names=frozenset({search}))
    elif choice != "auto":
        asked = choice_of(cast("Any", choice))
        if asked.mode == "required" and not functions and any(tool["type"] == SEARCH for tool in tools):
            asked = ToolChoice()  # the server searches itself
    if search is not None and not search_again and asked.mode != "none":
        names_left = frozenset(tool.name for tool in functions if tool.name != search)
        asked = ToolChoice(mode=asked.mode if names_left else "none", names=names_left or None)
    options = ChatOptions(
        tools=functions,
        choice=asked,
        parallel=parallel,
        format=None if isinstance(response_format, str) else format_of_answer(response_format),
        thinking=Thinking(effort=cast("Effort", effort) if effort in get_args(Effort) else None),
    )
    return Offered(options, search)


def offered_by(run: Run, *, first: bool, can_search: bool, search_again: bool) -> Offered:
    """What a reply of the run is offered. first: nothing was called yet; a forced choice is for the first reply only.

    Raises InvalidParameterError.
    """
    return offered(
        run.tools,
        choice=run.tool_choice if first or run.tool_choice == "none" else "auto",
        response_format=run.response_format,
        parallel=run.parallel_tool_calls,
        effort=run.reasoning_effort,
        can_search=can_search,
        search_again=search_again,
    )


def _functions(tools: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    found: list[Tool] = []
    for at, tool in enumerate(tools):
        if tool["type"] == "function":
            (function,) = tools_of([{**tool, "function": {**tool["function"], "parameters": None}}])
            function = replace(function, parameters=tool["function"].get("parameters"))
            check_parameters(function, f"tools[{at}].function.parameters")
            found.append(function)
    return tuple(found)
