"""The order of messages: instructions where a template shows them, and users and assistants in turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.chat.conversation import INSTRUCTIONS, Message, joined

if TYPE_CHECKING:
    from oxillama.chat.history.dialect import Dialect
    from oxillama.text import PromptText

GAP = "\n\n"


def with_instructions(messages: Sequence[Message], text: PromptText) -> list[Message]:
    """The conversation with a text at the end of the instructions that it begins with."""
    count = leading(messages)
    if not count:
        return [Message(role="system", content=text), *messages]
    last = _merged([messages[count - 1], Message(role="system", content=text)])
    return [*messages[: count - 1], last, *messages[count:]]


def leading(messages: Sequence[Message]) -> int:
    """How many messages at the beginning are instructions."""
    return next((at for at, message in enumerate(messages) if message.role not in INSTRUCTIONS), len(messages))


def placed(messages: Sequence[Message], dialect: Dialect) -> list[Message]:
    """The conversation with its instructions where the template shows them."""
    if not dialect.developer:
        messages = [replace(m, role="system") if m.role == "developer" else m for m in messages]
    count = leading(messages)
    if not any(message.role in INSTRUCTIONS for message in messages):
        return list(messages)
    if dialect.system == "none":
        return folded(messages)
    if count and messages[-1].role != "user" and dialect.loses_instructions != "no":
        users = [at for at, message in enumerate(messages) if message.role == "user"]
        if users:
            return _before(messages, count, users[-1 if dialect.loses_instructions == "last" else 0])
    if dialect.system == "anywhere":
        return list(messages)
    return [*one(messages[:count]), *folded(messages[count:])]


def one(messages: Sequence[Message]) -> list[Message]:
    """The messages as a single one, with the role of the first."""
    return [_merged(messages)] if messages else []


def folded(messages: Sequence[Message]) -> list[Message]:
    """The instructions as what users say: at the beginning of the next message, else as a message of their own."""
    groups: list[list[Message]] = []
    was_instruction = False
    for message in messages:
        is_instruction = message.role in INSTRUCTIONS
        message = replace(message, role="user") if is_instruction else message
        if was_instruction and message.role == "user":
            groups[-1].append(message)
        else:
            groups.append([message])
        was_instruction = is_instruction
    return list(map(_merged, groups))


def _before(messages: Sequence[Message], count: int, at: int) -> list[Message]:
    """The conversation with its first `count` messages at the beginning of the user's message at `at`."""
    user = replace(_merged([*messages[:count], messages[at]]), role="user")
    return folded([*messages[count:at], user, *messages[at + 1 :]])


def split(messages: Sequence[Message], dialect: Dialect) -> list[Message]:
    """The conversation with a message of its own for a text that the template would not show beside its calls."""
    form = dialect.calls
    if form is None or form.beside == "always":
        return list(messages)
    ends = [at for at, message in enumerate(messages) if message.role != "tool" and not message.tool_calls]
    last = max(ends, default=-1)
    found: list[Message] = []
    for at, message in enumerate(messages):
        if message.tool_calls and message.content and not (form.beside == "running" and at > last):
            found.append(replace(message, tool_calls=(), reasoning=""))
            message = replace(message, content="")
        found.append(message)
    return found


def begun(messages: Sequence[Message], dialect: Dialect) -> list[Message]:
    """The conversation with an empty message of a user at its beginning, if it needs one."""
    count = leading(messages)
    if messages[count:] and messages[count].role != "user" and dialect.begins_with_user:
        return [*messages[:count], Message(role="user"), *messages[count:]]
    return list(messages)


def alternating(messages: Iterable[Message]) -> list[Message]:
    """The conversation with users and assistants in turn, beginning with a user.

    Neighbours of one role become one message. Where calls and results are between them, an empty message of the other
    role is put before the second, and between an assistant's text and its calls. Messages with calls, results and
    instructions do not count.
    """
    groups: list[list[Message]] = []
    last = "assistant"
    for message in messages:
        if message.role not in ("user", "assistant") or message.tool_calls:
            if message.tool_calls and last == "assistant" and (not groups or groups[-1][0].role != "tool"):
                groups.append([Message(role="user")])
                last = "user"
            groups.append([message])
            continue
        if message.role == last:
            if groups and groups[-1][0].role == last and not groups[-1][0].tool_calls:
                groups[-1].append(message)
                continue
            groups.append([Message(role="user" if last == "assistant" else "assistant")])
        groups.append([message])
        last = message.role
    return list(map(_merged, groups))


def _merged(messages: Sequence[Message]) -> Message:
    """The messages as one, with what the first has beside its texts. Joined at once: there may be thousands."""
    if len(messages) == 1:
        return messages[0]
    contents = [message.content for message in messages if message.content]
    reasoning = GAP.join(message.reasoning for message in messages if message.reasoning)
    return replace(messages[0], content=joined(GAP, *contents), reasoning=reasoning)
