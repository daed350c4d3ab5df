"""Chat messages: from the wire to what a chat template is given."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oxillama.server.wire.errors import APIError, bad_request
from oxillama.server.wire.invalid import missing_parameter

# Names that templates do not know: `developer` is the newer one of `system`, `function` the older one of `tool`.
_TEMPLATE_ROLES = {"developer": "system", "function": "tool"}


class TextPart(msgspec.Struct, kw_only=True):
    """The only kind of content that a text model can take."""

    type: Literal["text"]
    text: str


class AssistantTextPart(msgspec.Struct, kw_only=True, tag_field="type", tag="text"):
    text: str


class RefusalPart(msgspec.Struct, kw_only=True, tag_field="type", tag="refusal"):
    refusal: str


class FunctionCall(msgspec.Struct, kw_only=True):
    name: str
    arguments: str


class ToolCall(msgspec.Struct, kw_only=True):
    """A call that the model made earlier; `arguments` is JSON in a string."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class GivenMessage(msgspec.Struct, kw_only=True, tag_field="role"):
    """What messages of every role may have."""

    name: str | None = None


class DeveloperMessage(GivenMessage, kw_only=True, tag="developer"):
    content: str | list[TextPart]


class SystemMessage(GivenMessage, kw_only=True, tag="system"):
    content: str | list[TextPart]


class UserMessage(GivenMessage, kw_only=True, tag="user"):
    content: str | list[TextPart]


class AssistantMessage(GivenMessage, kw_only=True, tag="assistant"):
    """What the model has said earlier: `content`, a `refusal` or calls must be there."""

    content: str | list[AssistantTextPart | RefusalPart] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None


class ToolMessage(GivenMessage, kw_only=True, tag="tool"):
    """What a tool has answered to a call of the assistant message before it."""

    content: str | list[TextPart]
    tool_call_id: str


class FunctionMessage(GivenMessage, kw_only=True, tag="function"):
    content: str | list[TextPart] | None = None


Message = DeveloperMessage | SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


def template_messages(messages: list[Message]) -> list[dict[str, Any]]:
    """The conversation as templates expect it: string contents, arguments as objects, roles they know.

    Raises APIError with the path of the message at fault.
    """
    _check_tool_order(messages)
    return [_template_message(message, f"messages[{at}]") for at, message in enumerate(messages)]


def _template_message(message: Message, path: str) -> dict[str, Any]:
    role = str(message.__struct_config__.tag)
    found: dict[str, Any] = {"role": _TEMPLATE_ROLES.get(role, role), "content": _text(message, path)}
    if message.name is not None:
        found["name"] = message.name
    if isinstance(message, AssistantMessage):
        if message.tool_calls:
            found["tool_calls"] = [_template_call(call.id, call.function) for call in message.tool_calls]
        elif message.function_call is not None:
            found["tool_calls"] = [_template_call("call_0", message.function_call)]
    elif isinstance(message, ToolMessage):
        found["tool_call_id"] = message.tool_call_id
    return found


def _text(message: Message, path: str) -> str:
    """The message's text; parts are paragraphs of it."""
    if isinstance(message.content, str):
        return message.content
    if message.content is not None:
        return "\n".join(part.refusal if isinstance(part, RefusalPart) else part.text for part in message.content)
    if isinstance(message, AssistantMessage):
        if message.refusal is not None:
            return message.refusal
        if not message.tool_calls and message.function_call is None:
            raise missing_parameter(f"{path}.content")
    return ""


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
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in answerable:
                text = "Invalid parameter: messages with role 'tool' must be a response to a preceding message with"
                raise _wrong_role(at, f"{text} 'tool_calls'.")
            unanswered.discard(message.tool_call_id)
            continue
        if unanswered:
            raise _unanswered(at, unanswered)
        calls = message.tool_calls if isinstance(message, AssistantMessage) else None
        answerable = {call.id for call in calls or ()}
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
