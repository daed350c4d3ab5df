"""What a template has no place for, written into the content of messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.chat.conversation import Message, ToolCall, joined
from oxillama.chat.history.forms import json_object
from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text

if TYPE_CHECKING:
    from oxillama.chat.history.dialect import Dialect
    from oxillama.chat.history.offering import Writer

# A text that begins with reasoning between tags, as models wrote it: <think>…</think>, [THINK]…[/THINK].
_THOUGHT = re.compile(r"\s*([<\[])((?:\w+:)?(?:think\w*|reasoning|thought))([>\]])(.*?)\1/\2\3", re.DOTALL | re.I)


def written(messages: Sequence[Message], dialect: Dialect, write: Writer) -> Iterator[Message]:
    """The conversation with calls, their results and reasoning as text, if the template has no place for them.

    Reasoning is left out if the template also takes reasoning out of texts, because its model never sees any in a
    history, and beside calls that may have no text.
    """
    called: set[str | None] = set()
    for message in messages:
        if dialect.calls is not None:
            called |= {call.id for call in message.tool_calls}
        if message.tool_calls and dialect.calls is None:
            calls = [_harmless(call, dialect) for call in message.tool_calls]
            content = joined("\n" if message.content else "", message.content, write(calls))
            message = replace(message, tool_calls=(), content=content)
        elif message.role == "tool" and message.tool_call_id not in called and not dialect.tool_role:
            marked = joined("", message.content, prompt_text("\n</tool_response>"))
            message = Message(role="user", content=joined("", prompt_text("<tool_response>\n"), marked))
        if message.reasoning and dialect.reasoning is None:
            thought = prompt_text("<think>\n", PromptText.of_content(message.reasoning), "\n</think>\n\n")
            left_out = dialect.cuts("</think>") or _lonely(message, dialect)
            message = replace(message, reasoning="")
            if not left_out:
                message = replace(message, content=joined("", thought, message.content))
        yield message


def _lonely(message: Message, dialect: Dialect) -> bool:
    """Whether the template does not show what is said beside the message's calls."""
    return bool(message.tool_calls) and dialect.calls is not None and dialect.calls.beside == "never"


def without_tags(message: Message, dialect: Dialect) -> Message:
    """An assistant's message without the tags at which the template would cut it.

    Reasoning between tags at the beginning of the text becomes the message's reasoning. Other tags are taken out, but
    not what stands around them.
    """
    if message.role != "assistant":
        return message
    if isinstance(message.content, str):
        message = _cleaned(message, message.content, dialect)
    tags = [tag for tag in dialect.tags if tag in message.reasoning and dialect.cuts(tag)]
    return replace(message, reasoning=_without(message.reasoning, tags)) if tags else message


def _cleaned(message: Message, content: str, dialect: Dialect) -> Message:
    tags = [tag for tag in dialect.tags if tag in content and dialect.cuts(tag)]
    if not tags:
        return message
    reasoning = message.reasoning
    found = _THOUGHT.match(content)
    if found is not None and not reasoning:
        reasoning, content = found[4].strip("\n"), content[found.end() :].lstrip("\n")
    return replace(message, content=_without(content, tags), reasoning=reasoning)


def _harmless(call: ToolCall, dialect: Dialect) -> ToolCall:
    """A call that becomes a part of a text: its arguments are an object, and no tag cuts the text."""
    arguments = call.arguments or "{}"
    if json_object(arguments) is None:
        arguments = json.dumps({"arguments": arguments}, ensure_ascii=False)
    tags = [tag for tag in dialect.tags if tag in arguments + call.name and dialect.cuts(tag)]
    return replace(call, name=_without(call.name, tags), arguments=_without(arguments, tags))


def _without(text: str, tags: Sequence[str]) -> str:
    """The text without the tags; taking one out may put another together."""
    for tag in tags:
        text = text.replace(tag, "")
    if not any(tag in text for tag in tags):
        return text
    found: list[str] = []  # never has a tag in it, so only its end need be looked at: linear in the text
    for char in text:
        found.append(char)
        for tag in tags:
            if char == tag[-1] and "".join(found[-len(tag) :]) == tag:
                del found[-len(tag) :]
                break
    return "".join(found)
