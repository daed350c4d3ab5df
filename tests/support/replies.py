"""Replies without a model: a vocabulary of special tokens, texts cut into tokens, and what a parser makes of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from oxillama.chat.reply.events import Arguments, CallBegan, CallEnded, Content, Event, Parser, Reasoning
from oxillama.chat.tools import Tool

TEXT = 0
"""The id of every token that is text."""


class Specials:
    """A vocabulary of which only special tokens matter. user: those whose text is shown."""

    def __init__(self, control: Iterable[str], user: Iterable[str] = ()) -> None:
        self._ids = {text: 100 + n for n, text in enumerate(dict.fromkeys([*control, *user]))}
        self._shown = {self._ids[text]: text for text in user}

    def find(self, text: str) -> int | None:
        return self._ids.get(text)

    def is_special(self, token_id: int) -> bool:
        return token_id >= 100

    def token_bytes(self, token_id: int) -> bytes:
        return self._shown.get(token_id, "").encode()

    def tokens(self, text: str, cuts: Sequence[int] = ()) -> Iterator[tuple[int, bytes]]:
        """The text as (token id, bytes). cuts: where its bytes are cut, as numbers modulo the length; (): at each."""
        special = "|".join(map(re.escape, sorted(self._ids, key=len, reverse=True)))
        for part in re.split(f"({special})", text) if special else [text]:
            if part in self._ids:
                yield self._ids[part], self.token_bytes(self._ids[part])
                continue
            data = part.encode()
            places = sorted({cut % (len(data) + 1) for cut in cuts}) if cuts else range(len(data) + 1)
            for start, end in zip([0, *places], [*places, len(data)], strict=True):
                if start < end:
                    yield TEXT, data[start:end]


def single_tokens(texts: Iterable[str]) -> list[str]:
    """Those of a family's markers that can be one token: none of the others is a part of them."""
    given = {text for text in texts if text}
    return sorted(text for text in given if not any(other != text and other in text for other in given))


WHOLE = (0,)
"""Cuts that leave a text in one piece."""


@dataclass
class Read:
    """What was read. calls: name and arguments as text; complete: which of them ended."""

    reasoning: str = ""
    content: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    complete: list[bool] = field(default_factory=list)

    @property
    def values(self) -> list[tuple[str, Any]]:
        """The calls with their arguments as values."""
        return [(name, json.loads(arguments)) for name, arguments in self.calls]


def joined(events: Iterable[Event]) -> Read:
    """The events as one message. Checks that they come in order."""
    read = Read()
    for event in events:
        match event:
            case Reasoning(text):
                read.reasoning += text
            case Content(text):
                read.content += text
            case CallBegan(index, call_id, name):
                assert index == len(read.calls)
                read.calls.append((name, ""))
                read.ids.append(call_id)
                read.complete.append(False)
            case Arguments(index, text):
                assert index == len(read.calls) - 1
                assert not read.complete[index]
                read.calls[index] = (read.calls[index][0], read.calls[index][1] + text)
            case CallEnded(index):
                assert index == len(read.calls) - 1
                read.complete[index] = True
                assert isinstance(json.loads(read.calls[index][1]), dict)
    return read


def read_tokens(parser: Parser, tokens: Iterable[tuple[int, bytes]], truncated: bool = False) -> Read:
    events: list[Event] = []
    for token_id, piece in tokens:
        events += parser.push(token_id, piece)
    return joined([*events, *parser.end(truncated)])


def tools(*names: str, **schemas: dict[str, Any]) -> list[Tool]:
    """Tools by name, with any arguments or those of a schema."""
    any_object = {"type": "object"}
    given = dict.fromkeys(names, any_object) | schemas
    return [Tool(name=name, parameters=schema) for name, schema in given.items()]
