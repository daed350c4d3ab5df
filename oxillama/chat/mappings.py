"""Messages, tools and formats that Python callers give as mappings in the shape of the OpenAI API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from oxillama.chat.conversation import Message, Role, ToolCall
from oxillama.chat.options import AnswerFormat, Grammar, JsonSchema, OneOf, Regex
from oxillama.chat.tools import Tool, ToolChoice, check_parameters
from oxillama.errors import InvalidParameterError

_FORMS = {
    "grammar": 'oxillama.chat.options.Grammar(text, "lark" or "gbnf")',
    "guided_choice": "oxillama.chat.options.OneOf(texts)",
    "json_schema": "oxillama.chat.options.JsonSchema(schema=…)",
    "regex": "oxillama.chat.options.Regex(pattern)",
}
_ROLES: dict[Any, Role] = {role: role for role in get_args(Role)}


def conversation_of(messages: Sequence[Message | Mapping[str, Any]]) -> list[Message]:
    """The messages as a conversation. Raises InvalidParameterError with the path of the wrong part."""
    if not messages:
        raise InvalidParameterError("Invalid 'messages': there are none.", param="messages", code="empty_array")
    return [m if isinstance(m, Message) else _message(m, f"messages[{at}]") for at, m in enumerate(messages)]


def tools_of(tools: Sequence[Tool | Mapping[str, Any]] | None) -> tuple[Tool, ...]:
    """The tools. Raises InvalidParameterError with the path of the wrong part."""
    found = tuple(t if isinstance(t, Tool) else _tool(t, f"tools[{at}]") for at, t in enumerate(tools or ()))
    for at, tool in enumerate(found):
        check_parameters(tool, f"tools[{at}].function.parameters")
    return found


def choice_of(choice: ToolChoice | str | Mapping[str, Any] | None) -> ToolChoice:
    """Which tools may or must be called: "none", "auto", "required", or the mapping that names a function or several.

    Raises InvalidParameterError.
    """
    match choice:
        case None:
            return ToolChoice()
        case ToolChoice():
            return choice
        case "none" | "auto" | "required":
            return ToolChoice(mode=choice)
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice(mode="required", names=frozenset({name}))
        case {"type": "allowed_tools", "allowed_tools": {"mode": ("auto" | "required") as mode, "tools": list(tools)}}:
            names = frozenset(str(_part(_part(tool, "function"), "name")) for tool in tools)
            return ToolChoice(mode=mode, names=names)
    raise _invalid("tool_choice", "is neither 'none', 'auto', 'required' nor a mapping that names functions")


def format_of_answer(given: AnswerFormat | Mapping[str, Any] | None) -> AnswerFormat | None:
    """The form of the answer; None: any text. Raises InvalidParameterError."""
    match given:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return JsonSchema(schema={"type": "object"})
        case {"type": "json_schema", "json_schema": Mapping() as asked}:
            schema = asked.get("schema", {})
            if not isinstance(schema, Mapping):
                raise _invalid("response_format.json_schema.schema", "is not a mapping")
            return JsonSchema(
                schema=schema, name=str(asked.get("name", "response")), strict=bool(asked.get("strict", False))
            )
        case Mapping():
            raise _invalid("response_format", "has no type 'text', 'json_object' or 'json_schema'")
        case JsonSchema() | Grammar() | Regex() | OneOf():
            return given
    raise _invalid("response_format", "is neither a mapping nor a JsonSchema, Grammar, Regex or OneOf")


def values_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The variables for the chat template. Raises InvalidParameterError for what servers take as a form of the answer.

    No template has a variable of such a name, and one that is not used has no effect.
    """
    for name, instead in _FORMS.items():
        if name in values:
            raise InvalidParameterError(f"Invalid '{name}': use response_format={instead}.", param=name)
    return values


def _message(given: Mapping[str, Any], path: str) -> Message:
    if not isinstance(given, Mapping):
        raise _invalid(path, "is neither a Message nor a mapping")
    role = _ROLES.get(given.get("role"))
    if role is None:
        raise _invalid(f"{path}.role", f"is {str(given.get('role'))[:40]!r}, not one of {', '.join(map(str, _ROLES))}")
    calls = given.get("tool_calls") or ()
    return Message(
        role=role,
        content=_content(given.get("content"), f"{path}.content"),
        name=given.get("name"),
        reasoning=given.get("reasoning_content") or given.get("reasoning") or "",
        tool_calls=tuple(_call(call, f"{path}.tool_calls[{n}]") for n, call in enumerate(calls)),
        tool_call_id=given.get("tool_call_id"),
    )


def _content(content: Any, path: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts = []
    for n, part in enumerate(content if isinstance(content, list | tuple) else [None]):
        text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
        if not isinstance(text, str):
            raise _invalid(f"{path}[{n}]" if isinstance(content, list | tuple) else path, "is not a text")
        texts.append(text)
    return "\n".join(texts)


def _call(given: Any, path: str) -> ToolCall:
    function = _part(given, "function")
    if not isinstance(_part(function, "name"), str):
        raise _invalid(path, "has no function with a name")
    return ToolCall(id=str(given.get("id", "")), name=function["name"], arguments=str(function.get("arguments", "")))


def _tool(given: Any, path: str) -> Tool:
    if _part(given, "type") != "function" or not isinstance(function := _part(given, "function"), Mapping):
        raise _invalid(path, "is neither a Tool nor a mapping of type 'function'")
    name, parameters = function.get("name"), function.get("parameters")
    if not isinstance(name, str) or not name:
        raise _invalid(f"{path}.function.name", "is missing")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise _invalid(f"{path}.function.parameters", "is no JSON schema")
    description = str(function.get("description") or "")
    return Tool(name=name, description=description, parameters=parameters, strict=bool(function.get("strict")))


def _part(given: Any, key: str) -> Any:
    return given.get(key) if isinstance(given, Mapping) else None


def _invalid(path: str, problem: str) -> InvalidParameterError:
    return InvalidParameterError(f"Invalid '{path}': it {problem}.", param=path)
