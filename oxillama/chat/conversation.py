"""What a conversation consists of, whoever keeps it: an HTTP request, a thread, a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that the assistant has made. `arguments` is the text that the model wrote, a JSON object as a rule."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one side has said.

    content: a string is what others wrote, so texts of control tokens in it stay text; a PromptText says itself which
    of its characters others wrote. reasoning, tool_calls: an assistant's. tool_call_id: which call a tool answers.
    """

    role: Role
    content: str | PromptText = ""
    name: str | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


def joined(first: str | PromptText, gap: str, second: str | PromptText) -> str | PromptText:
    """Two contents as one. Where both are plain, so is the gap."""
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
    """The instructions as the beginning of what the user says: several templates know no system role."""
    return [replace(message, role="user") if message.role == "system" else message for message in messages]
