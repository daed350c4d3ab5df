"""Chat messages: from the wire to a conversation."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oxillama import chat
from oxillama.server.wire.errors import APIError, bad_request
from oxillama.server.wire.invalid import missing_parameter


class TextPart(msgspec.Struct, kw_only=True):
    """The only kind of content that a text model can take."""

    type: Literal["text"]
    text: str


class AssistantTextPart(msgspec.Struct, kw_only=True, tag_field="type", tag="text"):
    text: str


class RefusalPart(msgspec.Struct, kw_only=True, tag_field="type", tag="refusal"):
    refusal: str


class ThinkingPart(msgspec.Struct, kw_only=True, tag_field="type", tag="thinking"):
    """Reasoning of an earlier message, as some clients send it back."""

    thinking: str | list[TextPart]


class FunctionCall(msgspec.Struct, kw_only=True):
    """arguments: JSON in a string; an object is taken, too."""

    name: str
    arguments: str | dict[str, Any]


class ToolCall(msgspec.Struct, kw_only=True):
    """A call that the model made earlier."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class GivenMessage(msgspec.Struct, kw_only=True, tag_field="role"):
    """The fields of messages of every role."""

    name: str | None = None


class DeveloperMessage(GivenMessage, kw_only=True, tag="developer"):
    content: str | list[TextPart]


class SystemMessage(GivenMessage, kw_only=True, tag="system"):
    content: str | list[TextPart]


class UserMessage(GivenMessage, kw_only=True, tag="user"):
    content: str | list[TextPart]


class AssistantMessage(GivenMessage, kw_only=True, tag="assistant"):
    """An earlier message of the model. It must have `content`, a `refusal`, reasoning or calls.

    Its reasoning has two names, or is a part of the content; `reasoning_content` has precedence.
    """

    content: str | list[AssistantTextPart | RefusalPart | ThinkingPart] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None


class ToolMessage(GivenMessage, kw_only=True, tag="tool"):
    """A tool's result for a call in the assistant message before it."""

    content: str | list[TextPart]
    tool_call_id: str


class FunctionMessage(GivenMessage, kw_only=True, tag="function"):
    content: str | list[TextPart] | None = None


Message = DeveloperMessage | SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


def conversation(messages: list[Message]) -> list[chat.Message]:
    """The messages as a conversation. Raises APIError with the path of the wrong message."""
    _check_tool_order(messages)
    found: list[chat.Message] = []
    called = ""  # the latest call of the older kind, which has no id
    for at, message in enumerate(messages):
        text = _text(message, f"messages[{at}]")
        if isinstance(message, AssistantMessage):
            calls = [chat.ToolCall(id=c.id, **_function(c.function)) for c in message.tool_calls or ()]
            if not calls and message.function_call is not None:
                called = f"call_{at}"
                calls = [chat.ToolCall(id=called, **_function(message.function_call))]
            reasoning = message.reasoning_content or message.reasoning or _thought(message)
            found.append(
                chat.Message(
                    role="assistant", content=text, name=message.name, reasoning=reasoning, tool_calls=tuple(calls)
                )
            )
        elif isinstance(message, (ToolMessage, FunctionMessage)):
            call_id = message.tool_call_id if isinstance(message, ToolMessage) else called
            found.append(chat.Message(role="tool", content=text, name=message.name, tool_call_id=call_id))
        else:
            found.append(chat.Message(role=_ROLES[type(message)], content=text, name=message.name))
    return found


_ROLES: dict[type[Message], chat.Role] = {
    DeveloperMessage: "developer",
    SystemMessage: "system",
    UserMessage: "user",
}


def _thought(message: AssistantMessage) -> str:
    """The reasoning in the message's content."""
    parts = message.content if isinstance(message.content, list) else []
    thoughts = [part.thinking for part in parts if isinstance(part, ThinkingPart)]
    return "\n".join(one if isinstance(one, str) else "".join(part.text for part in one) for one in thoughts)


def _function(function: FunctionCall) -> dict[str, str]:
    given = function.arguments
    arguments = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    return {"name": function.name, "arguments": arguments}


def _text(message: Message, path: str) -> str:
    """The message's text; its parts become paragraphs."""
    if isinstance(message.content, str):
        return message.content
    if message.content is not None:
        parts = [part for part in message.content if not isinstance(part, ThinkingPart)]
        return "\n".join(part.refusal if isinstance(part, RefusalPart) else part.text for part in parts)
    if isinstance(message, AssistantMessage):
        if message.refusal is not None:
            return message.refusal
        said = message.tool_calls or message.function_call or message.reasoning_content or message.reasoning
        if not said:
            raise missing_parameter(f"{path}.content")
    return ""


def _check_tool_order(messages: list[Message]) -> None:
    """Check that each tool call has its result right after it, and that each tool message answers a call."""
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
