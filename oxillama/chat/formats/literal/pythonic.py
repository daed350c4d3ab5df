"""Calls as Python writes them: shape P.

A call is held back until its closing parenthesis: only then is it known whether it is one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oxillama.chat.formats.json.objects import JsonCalls
from oxillama.chat.formats.literal.grammar import PythonicGrammar
from oxillama.chat.formats.literal.layout import PythonicLayout
from oxillama.chat.formats.literal.reading import Span, read_name
from oxillama.chat.formats.members import Number, decoded, members_of
from oxillama.chat.formats.shape import Lark
from oxillama.chat.reply.json_text import SPACE
from oxillama.chat.reply.markers import Markers
from oxillama.chat.values.literals import LiteralError, Literals
from oxillama.text.prompt_text import PromptText, prompt_text

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.source import Source, Steps
    from oxillama.chat.reply.turn import CallReader
    from oxillama.chat.tools import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pythonic(PythonicLayout):
    """Shape P."""

    def write(self, calls: Sequence[ToolCall]) -> PromptText:
        if not calls:
            return PromptText("")
        pieces: list[str | PromptText] = [self.calls.open]
        for number, call in enumerate(calls):
            arguments = ", ".join(f"{key}={_python(value)}" for key, value in members_of(call.arguments))
            pieces += [self.between if number else "", PromptText.of_content(call.name)]
            pieces += ["(", PromptText.of_content(arguments), ")"]
        return prompt_text(*pieces, self.calls.close)

    def reader(self, markers: Markers) -> CallReader:
        return PythonicReader(self, markers)

    def grammar(self, tools: Sequence[Tool], lark: Lark, *, parallel: bool = True) -> str:
        return PythonicGrammar(self, lark).text(tools, parallel=parallel)

    def unenforced(self, tool: Tool) -> Sequence[tuple[str, str]]:
        grammar = PythonicGrammar(self, Lark(Markers((), None)))
        grammar.call(tool)
        return grammar.rules.unenforced


def _python(value: str) -> str:
    """JSON text as a Python literal. What JSON and Python write alike stays as it is."""
    if value[:1] in "[{":
        return _literal(decoded(value))
    return _CONSTANTS.get(value, value)


_CONSTANTS = {"true": "True", "false": "False", "null": "None"}


def _literal(value: Any) -> str:
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    text = json.dumps(value, ensure_ascii=False)
    return _CONSTANTS.get(text, text)


class PythonicReader:
    """Reads the calls of one `PythonicLayout` (see `CallReader`)."""

    def __init__(self, shape: PythonicLayout, markers: Markers) -> None:
        spelled = [text for text in (shape.opener, *shape.openers) if text]
        ends = [text for text in (shape.closer, *shape.closers) if text]
        self.openers = tuple(dict.fromkeys(map(markers.encode, spelled)))
        self.at_line = tuple(text for text in dict.fromkeys(spelled) if text not in self.openers)
        self.bare = shape.bare
        self.gap = shape.gap
        self.closers = tuple(dict.fromkeys([*map(markers.encode, ends), *ends]))
        self._visible = markers.visible
        self._span = Span(")", "\"'", stops="".join(text for text in self.closers if "\ud800" <= text <= "\udfff"))
        listed = JsonCalls("JA", shape.opener, shape.closer, openers=shape.openers, bare=shape.bare)
        self._json = listed.reader(markers)
        self._between = (",", ";", "[", "]", *self.closers, *self.openers)

    def read(self, source: Source, calls: Calls, opener: str) -> Steps[bool]:
        found = False
        while True:
            space = yield from source.gather(SPACE)
            mark = yield from source.literal(*self._between)
            if not found and (yield from source.peek()) == "{":
                source.unread(space + (mark or ""))
                return (yield from self._json.read(source, calls, opener))
            if mark is not None:
                if found:
                    source.mark()
                if found and mark in self.closers:
                    return True
                if found and mark == "]":
                    yield from self._close(source)
                    return True
                continue
            if found and not (yield from source.peek()):
                return True
            if not (yield from self._call(source, calls)):
                return False
            found = True
            source.mark()

    def _close(self, source: Source) -> Steps[None]:
        """Read a closer behind the list."""
        space = yield from source.gather(SPACE)
        if (yield from source.literal(*self.closers)) is None:
            source.unread(space)
        source.mark()

    def _call(self, source: Source, calls: Calls) -> Steps[bool]:
        name = calls.spelled((yield from read_name(source)))
        if not calls.offers(name) or (yield from source.skip(SPACE)) != "(":
            return False
        yield from source.next()
        text, end = yield from self._span.read(source)
        text = self._visible(text)
        cut = not end and source.truncated
        if end == ")":
            yield from source.next()
        literals = Literals(text if cut else text + ")")
        try:
            arguments, size = literals.arguments(0)
        except LiteralError:
            size = -1
        if size != len(text) + 1:
            if not cut:
                return False
            arguments = literals.arguments_so_far
        calls.begin(name)
        calls.arguments(arguments)
        calls.end(not cut)
        return True
