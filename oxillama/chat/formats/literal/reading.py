"""Text up to the bracket or comma that ends it, for literals that are read as a whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oxillama.chat.reply.json_text import SPACE

if TYPE_CHECKING:
    from oxillama.chat.reply.source import Source, Steps

_LONGEST_NAME = 256
_OPENERS, _CLOSERS = "([{", ")]}"
_NAME = re.compile(r"[\w.\-]+")


class Span:
    """Text outside brackets up to one of several characters. Brackets and characters in strings do not count.

    ends: the characters. quotes: delimiters of strings with escapes. quote: one of strings without. stops: special
    tokens that end everything.
    """

    def __init__(self, ends: str, quotes: str, quote: str = "", stops: str = "") -> None:
        self._ends = ends
        self._quotes = quotes
        self._quote = quote
        self._stops = stops
        special = re.escape(ends + _OPENERS + _CLOSERS + quotes + quote[:1] + stops)
        self._plain = re.compile(f"[^{special}]++")
        self._inside = {mark: re.compile(rf"[^{mark}\\{re.escape(stops)}]++") for mark in quotes}
        self._outside_quote = re.compile(f"[^{re.escape(quote[:1] + stops)}]++") if quote else None

    def read(self, source: Source) -> Steps[tuple[str, str]]:
        """Read the text, but not what ends it. Returns both; "" is the end of the reply."""
        parts: list[str] = []
        depth = 0
        while True:
            parts.append(source.run(self._plain))
            char = yield from source.peek()
            if not char or char in self._stops:
                return "".join(parts), char
            if not depth and char in self._ends:
                return "".join(parts), char
            if self._quote and (yield from source.literal(self._quote)) is not None:
                parts.append(self._quote)
                yield from self._until_quote(source, parts)
                continue
            if char in _CLOSERS and not depth:
                return "".join(parts), char
            depth += (char in _OPENERS) - (char in _CLOSERS)
            parts.append((yield from source.next()))
            if char in self._quotes:
                yield from self._string(source, char, parts)

    def _string(self, source: Source, mark: str, parts: list[str]) -> Steps[None]:
        """Read the rest of a string; three quotes are ended by three."""
        end = mark
        if (yield from source.literal(mark + mark)) is not None:
            parts.append(mark + mark)
            end = mark * 3
        elif (yield from source.peek()) == mark:
            parts.append((yield from source.next()))
            return
        while True:
            parts.append(source.run(self._inside[mark]))
            char = yield from source.peek()
            if not char or char in self._stops:
                return
            if (yield from source.literal(end)) is not None:
                parts.append(end)
                return
            parts.append((yield from source.next()))
            if char == "\\":
                parts.append((yield from source.next()))

    def _until_quote(self, source: Source, parts: list[str]) -> Steps[None]:
        assert self._outside_quote is not None
        while True:
            parts.append(source.run(self._outside_quote))
            char = yield from source.peek()
            if not char or char in self._stops:
                return
            if (yield from source.literal(self._quote)) is not None:
                parts.append(self._quote)
                return
            parts.append((yield from source.next()))


def read_name(source: Source) -> Steps[str]:
    """Read the name of a function; "" if there is none, or none of a sensible length."""
    yield from source.skip(SPACE)
    name = ""
    while len(name) <= _LONGEST_NAME:
        name += source.run(_NAME)
        char = yield from source.peek()
        if not char or _NAME.match(char) is None:
            return name
    return ""
