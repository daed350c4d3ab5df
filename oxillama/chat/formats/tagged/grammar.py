"""Grammars of calls in tags with bare values.

A bare string ends at its closing tag. So it may contain anything but this tag, and what else the reader would take for
the end of the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oxillama.chat.formats.grammar.bare import BareValues, alternatives
from oxillama.chat.formats.grammar.document import Document, Place
from oxillama.chat.formats.grammar.rules import Rules, literal, of_object, regex
from oxillama.chat.formats.tagged.layout import FIELD
from oxillama.chat.formats.tagged.reader import CDATA
from oxillama.chat.values.kinds import ALL_KINDS, INTEGER, NUMBER, STRING

if TYPE_CHECKING:
    from oxillama.chat.formats.shape import Lark
    from oxillama.chat.formats.tagged.layout import TaggedLayout
    from oxillama.chat.tools import Tool

NAME = r"/[A-Za-z_][A-Za-z0-9_\-]{0,63}/"


class TaggedGrammar:
    """The rules for calls as a shape lays them out."""

    def __init__(self, shape: TaggedLayout, lark: Lark) -> None:
        self._shape = shape
        self._lark = lark
        self.rules = Rules(lark)
        self._stated = set(FIELD.findall(shape.parameter.open)) & {"string", "type"}
        followers = [shape.wrap.close, shape.section.close, shape.section.open, shape.wrap.open]
        followers += [shape.call.open[: shape.call.open.index("{")]]
        tags = [tag.strip() for tag in followers if tag.strip()]
        closers = [tag.strip() for tag in (shape.call.close, shape.wrap.close) if tag.strip()]
        self._barred = [regex(shape.parameter.close.strip())]
        self._never = [regex(CDATA)] if shape.character_data else []
        self._barred += [rf"{regex(closer)}\s*{regex(tag)}" for closer in closers for tag in tags if tag != closer]

    def text(self, tools: Sequence[Tool], *, parallel: bool) -> str:
        calls = [self.call(tool) for tool in tools]
        section, between = self._shape.section, self._shape.between
        more = f"({self._lark.text(between)} call_any)*" if parallel else ""
        head = f"{self._lark.text(section.open)} call_any {more} {self._lark.text(section.close)}"
        return "\n".join([f"calls: {head}", f"call_any: {' | '.join(calls)}", *self.rules.lines])

    def call(self, tool: Tool) -> str:
        """The name of a rule for a call."""
        document = Document(tool.parameters)
        values = BareValues(self.rules, document, self._barred, self._never)
        members = [
            self.rules.rule(self._parameter(document, values, place, literal(name))) + ("" if required else "?")
            for name, place, required in document.properties(document.root)
        ]
        if document.is_open(document.root):
            any_name = self.rules.terminal(NAME)
            members.append(self.rules.rule(self._parameter(document, values, Place({}, ""), any_name)) + "*")
        self.rules.refuse(document.root, *of_object(document.root))
        wrap, call = self._shape.wrap, self._shape.call
        start = self._fields(call.open, name=literal(tool.name), index="/[1-9][0-9]{0,3}/")
        parts = [self._lark.text(wrap.open), start, *members, self._lark.text(call.close + wrap.close)]
        return self.rules.rule(" ".join(parts))

    def _parameter(self, document: Document, values: BareValues, place: Place, name: str) -> str:
        place = document.followed(place)
        header, end = self._shape.parameter.open + self._shape.key_end, self._shape.parameter.close
        if not self._stated:
            return f"{self._fields(header, key=name)} {values.value(place, end)}"
        if (branches := alternatives(place, document)) is not None:
            return " | ".join(self._parameter(document, values, branch, name) for branch in branches)
        kinds = document.kinds(place)
        options = []
        if kinds is None or STRING in kinds:
            value = values.string(place, end)
            options.append(f"{self._fields(header, key=name, string=literal('true'), type=literal(STRING))} {value}")
        others = (ALL_KINDS if kinds is None else kinds) - {STRING}
        if "type" not in self._stated and others:
            value = values.json(place, end, None if others == kinds else others)
            options.append(f"{self._fields(header, key=name, string=literal('false'))} {value}")
        elif others:
            for kind in sorted(others - ({INTEGER} if NUMBER in others else set())):
                start = self._fields(header, key=name, type=literal(NUMBER if kind == INTEGER else kind))
                options.append(f"{start} {values.json(place, end, frozenset((kind,)))}")
        return " | ".join(options)

    def _fields(self, text: str, **fields: str) -> str:
        """The expression for a text with its fields."""
        pieces = enumerate(FIELD.split(text))
        return " ".join(fields[piece] if at % 2 else self._lark.text(piece) for at, piece in pieces)
