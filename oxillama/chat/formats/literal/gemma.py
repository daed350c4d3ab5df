"""Calls as Gemma writes them: `call:NAME{key:value,…}` with a token in place of quotation marks. Shape G."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oxillama.chat.formats.literal.grammar import GemmaGrammar
from oxillama.chat.formats.literal.layout import GemmaLayout
from oxillama.chat.formats.literal.reading import Span, read_name
from oxillama.chat.formats.members import Number, decoded, members_of
from oxillama.chat.formats.shape import Lark
from oxillama.chat.reply.json_text import SPACE
from oxillama.chat.reply.markers import Markers
from oxillama.chat.reply.source import Scanner
from oxillama.chat.values.kinds import STRING, Parameters
from oxillama.chat.values.literals import LiteralError, Literals
from oxillama.chat.values.quoting import well_formed
from oxillama.chat.values.tagged import tagged_value
from oxillama.chat.values.writer import ArgumentsWriter
from oxillama.text.prompt_text import PromptText, prompt_text

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.source import Source, Steps
    from oxillama.chat.reply.turn import CallReader
    from oxillama.chat.tools import Tool

_HEAD = "call:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemma(GemmaLayout):
    """Shape G."""

    def write(self, calls: Sequence[ToolCall]) -> PromptText:
        pieces: list[str | PromptText] = []
        for call in calls:
            pieces += [self.call.open + _HEAD, PromptText.of_content(call.name), "{"]
            for number, (key, value) in enumerate(members_of(call.arguments)):
                pieces += ["," if number else "", PromptText.of_content(key), ":"]
                pieces += self._value(decoded(value))
            pieces += ["}", self.call.close]
        return prompt_text(*pieces)

    def _value(self, value: Any) -> list[str | PromptText]:
        pieces: list[str | PromptText] = []
        if isinstance(value, Number):
            return [value]
        if isinstance(value, str):
            return [self.quote, PromptText.of_content(well_formed(value)), self.quote]
        if isinstance(value, dict):
            for key, item in value.items():
                pieces += ["," if pieces else "", PromptText.of_content(key), ":", *self._value(item)]
            return ["{", *pieces, "}"]
        if isinstance(value, list):
            for item in value:
                pieces += ["," if pieces else "", *self._value(item)]
            return ["[", *pieces, "]"]
        return [json.dumps(value)]

    def reader(self, markers: Markers) -> CallReader:
        return GemmaReader(self, markers)

    def grammar(self, tools: Sequence[Tool], lark: Lark, *, parallel: bool = True) -> str:
        return GemmaGrammar(self, lark).text(tools, parallel=parallel)

    def unenforced(self, tool: Tool) -> Sequence[tuple[str, str]]:
        grammar = GemmaGrammar(self, Lark(Markers((), None)))
        grammar.call(tool)
        return grammar.rules.unenforced


class GemmaReader:
    """Reads the calls of one `GemmaLayout` (see `CallReader`)."""

    bare = ""

    def __init__(self, shape: GemmaLayout, markers: Markers) -> None:
        self.openers = (markers.encode(shape.call.open),)
        self.at_line = (shape.call.open,) if shape.call.open not in self.openers else ()
        self.gap = shape.gap
        self.closers = tuple(dict.fromkeys((markers.encode(shape.call.close), shape.call.close)))
        self._visible = markers.visible
        self._quote = quote = markers.encode(shape.quote)
        stops = "".join(text for text in (*self.openers, *self.closers) if "\ud800" <= text <= "\udfff")
        self._strings = Scanner([quote, *stops])
        self._value_span = Span(",}", '"', quote, stops)
        self._key_span = Span(":,}", '"', quote, stops)

    def read(self, source: Source, calls: Calls, opener: str) -> Steps[bool]:
        yield from source.skip(SPACE)
        if (yield from source.literal(_HEAD)) is None:
            return False
        name = yield from read_name(source)
        if not calls.offers(name) or (yield from source.skip(SPACE)) != "{":
            return False
        yield from source.next()
        calls.begin(name)
        source.mark()
        writer = ArgumentsWriter()
        parameters = Parameters(calls.tools[name].parameters)
        while True:
            char = yield from source.skip(SPACE + ",")
            if char == "}":
                yield from source.next()
                break
            if not char or (yield from self._closes(source)):
                break
            if not (yield from self._member(source, calls, writer, parameters)):
                break
            source.mark()
        cut = char != "}" and source.truncated and not (yield from source.peek())
        if not cut:
            calls.arguments(writer.end())
        calls.end(not cut)
        yield from self._close(source)
        source.mark()
        return True

    def _closes(self, source: Source) -> Steps[bool]:
        """Whether a closer comes next, which stays unread."""
        closer = yield from source.literal(*self.closers)
        source.unread(closer or "")
        return closer is not None

    def _close(self, source: Source) -> Steps[None]:
        space = yield from source.gather(SPACE)
        if (yield from source.literal(*self.closers)) is None:
            source.unread(space)

    def _member(self, source: Source, calls: Calls, writer: ArgumentsWriter, parameters: Parameters) -> Steps[bool]:
        """Read a key and its value; False: there is none, and what was read is put back."""
        raw, end = yield from self._key_span.read(source)
        key = self._text_of(raw)
        if end != ":" or not key:
            source.unread(raw)
            return False
        yield from source.next()
        yield from source.skip(SPACE)
        if (yield from source.literal(self._quote)) is not None:
            yield from self._string(source, calls, writer, key)
            return True
        raw, end = yield from self._value_span.read(source)
        if end or not source.truncated:
            calls.arguments(writer.value(key, self._json(raw, parameters, key)))
        return True

    def _string(self, source: Source, calls: Calls, writer: ArgumentsWriter, key: str) -> Steps[None]:
        calls.arguments(writer.string(key))
        end = yield from source.until(self._strings, lambda text: calls.arguments(writer.text(self._visible(text))))
        if end is not None and end != self._quote:
            source.unread(end)
        if end is not None or not source.truncated:
            calls.arguments(writer.done())

    def _json(self, raw: str, parameters: Parameters, key: str) -> str:
        kinds = parameters.kinds(key)
        text = raw.strip()
        if kinds is not None and STRING in kinds and text[:1] not in ('"', "[", "{") and self._quote not in text:
            return tagged_value(self._visible(text), kinds)
        text = self._quote.join(map(self._visible, text.split(self._quote)))
        try:
            return Literals(text, quote=self._quote, bare=True).whole()
        except LiteralError:
            return tagged_value(text, kinds)

    def _text_of(self, raw: str) -> str:
        """A key without the quotation marks that it may have."""
        text = raw.strip()
        for mark in (self._quote, '"'):
            if text.startswith(mark) and text.endswith(mark) and len(text) >= 2 * len(mark):
                text = text[len(mark) : len(text) - len(mark)]
        return self._visible(text)
