"""The forms in which templates take the parts of a message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from oxillama.chat.tools import Tool
    from oxillama.text import PromptText

Given = dict[str, Any]
"""A message, a call or a tool in the form that templates receive."""

Ids = Literal["any", "short", "functions"]
"""Ids of calls: "any"; "short": nine letters and digits; "functions": `functions.NAME:INDEX` over the conversation."""

DEEPEST = 100
"""How deeply the values of a call may be nested. Renderers have limits of their own."""


@dataclass(frozen=True, slots=True)
class CallForm:
    """How a template takes tool calls.

    text_arguments: arguments as JSON text, not as an object. null_content: a message with calls has None as content.
    one_each: one call per message. beside: where the text of a message with calls is shown; "running": not in turns
    that are finished. thought_or_text: such a message may have text or reasoning, but not both. raw_text: arguments
    that are not an object are shown as they are. json_values: objects and lists among the arguments are JSON text, else
    the template would print them as Python does.
    """

    text_arguments: bool = False
    null_content: bool = False
    ids: Ids = "any"
    one_each: bool = False
    beside: Literal["always", "running", "never"] = "always"
    thought_or_text: bool = False
    raw_text: bool = False
    json_values: bool = False


@dataclass(frozen=True, slots=True)
class ToolForm:
    """How a template takes tools.

    variable: the variable for the list. flat: a tool is the function itself, not a mapping with the key `function`.
    filled: description and parameters are there even if they are empty.
    """

    variable: Literal["tools", "functions"] = "tools"
    flat: bool = False
    filled: bool = False


def content_of(text: str | PromptText, parts: bool) -> Any:
    return [{"type": "text", "text": text}] if parts else text


def call_of(call_id: str, name: str, arguments: Any, form: CallForm) -> Given:
    """arguments: an object, or a text that is not an object."""
    if isinstance(arguments, str):
        if not form.raw_text:
            arguments = {"arguments": arguments}
    elif form.json_values:
        arguments = {key: _json(value) if isinstance(value, dict | list) else value for key, value in arguments.items()}
    if form.text_arguments and not isinstance(arguments, str):
        arguments = _json(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool_of(tool: Tool, form: ToolForm) -> Given:
    """A tool. Templates have no use for `strict`."""
    function: Given = {"name": tool.name}
    if tool.description or form.filled:
        function["description"] = tool.description
    if tool.parameters is not None or form.filled:
        parameters = tool.parameters or {}
        empty = {"type": "object", "properties": {}} if form.filled else {}
        function["parameters"] = {**empty, **parameters}
    return function if form.flat else {"type": "function", "function": function}


def short_id(call_id: str) -> str:
    """Nine letters and digits that depend only on the id; an id of that kind stays as it is."""
    if len(call_id) == 9 and call_id.isalnum() and call_id.isascii():
        return call_id
    return sha256(call_id.encode("utf-8", "replace")).hexdigest()[:9]


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is. None if it is anything else, or if the object would not say all of the text."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _depth(value) <= DEEPEST else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("the number is too large")
    return value


def _depth(value: Any) -> int:
    """How deeply a value is nested, without recursion."""
    depth = 0
    level = [value]
    while level and depth <= DEEPEST:
        depth += 1
        inner = [item for item in level if isinstance(item, dict | list)]
        level = [value for item in inner for value in (item.values() if isinstance(item, dict) else item)]
    return depth


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
