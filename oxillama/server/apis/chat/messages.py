"""Chat messages: from the wire to what a chat template is given."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oxillama.server.wire.errors import APIError, bad_request
from oxillama.server.wire.invalid import invalid_value, missing_parameter

# Names that templates do not know: `developer` is the newer one of `system`, `function` the older one of `tool`.
_TEMPLATE_ROLES = {"developer": "system", "function": "tool"}


class ContentPart(msgspec.Struct, kw_only=True):
    """Text, or a kind of content that a text model cannot take."""

    type: str
    text: str | None = None
    refusal: str | None = None


class FunctionCall(msgspec.Struct, kw_only=True):
    name: str
    arguments: str


class ToolCall(msgspec.Struct, kw_only=True):
    """A call that the model made earlier; `arguments` is JSON in a string."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(msgspec.Struct, kw_only=True):
    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None


def template_messages(messages: list[Message]) -> list[dict[str, Any]]:
    """The conversation as templates expect it: string contents, arguments as objects, roles they know.

    Raises APIError with the path of the message at fault.
    """
    _check_tool_order(messages)
    return [_template_message(message, f"messages[{at}]") for at, message in enumerate(messages)]


def _template_message(message: Message, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {"role": _TEMPLATE_ROLES.get(message.role, message.role), "content": _text(message, path)}
    if message.name is not None:
        found["name"] = message.name
    if message.role == "assistant":
        if message.tool_calls:
            found["tool_calls"] = [_template_call(call.id, call.function) for call in message.tool_calls]
        elif message.function_call is not None:
            found["tool_calls"] = [_template_call("call_0", message.function_call)]
    elif message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    return found


def _text(message: Message, path: str) -> str:
    """The message's text; parts are paragraphs of it."""
    if isinstance(message.content, str):
        return message.content
    if message.content is not None:
        parts = enumerate(message.content)
        return "\n".join(_part_text(part, message.role, f"{path}.content[{at}]") for at, part in parts)
    if message.role == "assistant":
        if message.refusal is not None:
            return message.refusal
        if message.tool_calls or message.function_call is not None:
            return ""
    if message.role == "function":
        return ""
    raise missing_parameter(f"{path}.content")


def _part_text(part: ContentPart, role: str, path: str) -> str:
    allowed = ["text", "refusal"] if role == "assistant" else ["text"]
    if part.type not in allowed:
        raise invalid_value(f"{path}.type", part.type, allowed)
    text = part.text if part.type == "text" else part.refusal
    if text is None:
        raise missing_parameter(f"{path}.{part.type}")
    return text


def _template_call(call_id: str, function: FunctionCall) -> dict[str, Any]:
    """A tool call with its arguments as an object, which is what templates print; text that is no JSON stays text."""
    try:
        arguments = msgspec.json.decode(function.arguments)
    except (msgspec.DecodeError, RecursionError):
        arguments = function.arguments
    return {"id": call_id, "type": "function", "function": {"name": function.name, "arguments": arguments}}


def _check_tool_order(messages: list[Message]) -> None:
    """Every tool call is answered right after it, and every tool message answers one."""
    unanswered: set[str] = set()
    answerable: set[str] = set()
    for at, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id is None:
                raise missing_parameter(f"messages[{at}].tool_call_id")
            if message.tool_call_id not in answerable:
                text = "Invalid parameter: messages with role 'tool' must be a response to a preceding message with"
                raise _wrong_role(at, f"{text} 'tool_calls'.")
            unanswered.discard(message.tool_call_id)
            continue
        if unanswered:
            raise _unanswered(at, unanswered)
        answerable = {call.id for call in message.tool_calls or ()} if message.role == "assistant" else set()
        unanswered = set(answerable)
    if unanswered:
        raise _unanswered(len(messages) - 1, unanswered)


def _unanswered(at: int, ids: set[str]) -> APIError:
    return _wrong_role(
        at,
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(sorted(ids))[:200]}",
    )


def _wrong_role(at: int, message: str) -> APIError:
    return bad_request(message, param=f"messages.[{at}].role")
