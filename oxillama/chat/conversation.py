"""The parts of a conversation, for HTTP requests, threads and terminals alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that the assistant made. `arguments` is the text that the model wrote, usually a JSON object."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message.

    content: a string is untrusted, so texts of control tokens in it stay text; a PromptText marks which of its
    characters are untrusted. reasoning, tool_calls: an assistant's. tool_call_id: which call a tool answers.
    """

    role: Role
    content: str | PromptText = ""
    name: str | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


def joined(first: str | PromptText, gap: str, second: str | PromptText) -> str | PromptText:
    """Two contents joined with a gap. If both are plain strings, so is the result."""
    if isinstance(first, str) and isinstance(second, str):
        return first + gap + second
    return prompt_text(
        *(PromptText.of_content(text) if isinstance(text, str) else text for text in (first, gap, second))
    )


def merged(messages: Sequence[Message]) -> list[Message]:
    """Neighbours of the same role as one message: several templates insist that roles alternate."""
    result: list[Message] = []
    for message in messages:
        last = result[-1] if result else None
        if last is not None and last.role == message.role and _is_plain(last) and _is_plain(message):
            result[-1] = replace(last, content=joined(last.content, "\n\n", message.content))
        else:
            result.append(message)
    return result


def _is_plain(message: Message) -> bool:
    return message.role != "tool" and not message.tool_calls and not message.reasoning


def folded(messages: Sequence[Message]) -> list[Message]:
    """The instructions moved to the beginning of the user's message, because several templates have no system role."""
    return [replace(message, role="user") if message.role == "system" else message for message in messages]
