"""The parts of a conversation, for HTTP requests, threads and terminals alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text

Role = Literal["system", "developer", "user", "assistant", "tool"]
INSTRUCTIONS = ("system", "developer")
"""The roles of instructions. Where a template knows no developers, theirs are the system's."""


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


def joined(gap: str, *contents: str | PromptText) -> str | PromptText:
    """Contents joined with a gap. If all are plain strings, so is the result."""
    plain = [text for text in contents if isinstance(text, str)]
    if len(plain) == len(contents):
        return gap.join(plain)
    pieces = [piece for text in contents for piece in (gap, text)][1:]
    return prompt_text(*(PromptText.of_content(text) if isinstance(text, str) else text for text in pieces))
