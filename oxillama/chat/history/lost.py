"""Whether all that was said is in a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from oxillama.chat.history.forms import content_of
from oxillama.chat.history.probe import SAID
from oxillama.text import PromptText

if TYPE_CHECKING:
    from oxillama.chat.history.forms import Given

LOOKED_AT = 400
"""How many characters at the beginning of a text are searched for a word."""
_WORD = re.compile(r"[A-Za-z0-9]{2,24}|[^\W_]{1,24}")


def missing(given: Sequence[Given], text: str) -> list[int]:
    """The places of messages of which a word is nowhere in a prompt's text.

    One word of a message's text and one of each call's name are looked for. A template that leaves a message out does
    so with all its words, but one that changes texts may leave out these: see `marked`.
    """
    found: list[int] = []
    at = 0
    for place, message in enumerate(given):
        for word in _words(message):
            next_at = text.find(word, at)  # messages are mostly in order, so this is short
            if next_at >= 0:
                at = next_at
            elif word not in text:
                found.append(place)
                break
    return found


def shows(text: str, said: str) -> bool:
    """Whether a word of what was said is in the text; True if there is no word in it."""
    return _longest_word(said) in text


def marked(given: Sequence[Given], places: Sequence[int]) -> tuple[list[Given], list[str]]:
    """The conversation with made-up words for the texts and calls of some messages, and these words.

    If they are all in the prompt, the template leaves out nothing but what it takes for its own, such as "/no_think".
    """
    marked = list(given)
    words: list[str] = []

    def new() -> str:
        words.append(f"{SAID}{len(words)}x")  # no word is the beginning of another
        return words[-1]

    for place in places:
        message = dict(given[place])
        content = message["content"]
        if any(_texts(content)):
            message["content"] = content_of(new(), isinstance(content, list))
        if "tool_calls" in message:
            message["tool_calls"] = [
                {**call, "function": {**call["function"], "name": new()}} for call in message["tool_calls"]
            ]
        marked[place] = message
    return marked, words


def _words(message: Given) -> Iterator[str]:
    names = (call["function"]["name"] for call in message.get("tool_calls") or ())
    for text in (*_texts(message["content"]), *names):
        word = _longest_word(text)
        if word:
            yield word


def _longest_word(text: str) -> str:
    """The longest word at the beginning of a text; "" if it has none."""
    return max(_WORD.findall(text, 0, LOOKED_AT), key=len, default="")


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, PromptText):
        yield content.text
    elif isinstance(content, dict):
        yield from content  # a result that is an object: its keys
    elif isinstance(content, list):
        for part in content:
            if part["type"] == "text":
                yield from _texts(part["text"])
