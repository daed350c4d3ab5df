"""Grammars of calls in nested tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from oxillama.chat.formats.grammar.bare import BareValues
from oxillama.chat.formats.grammar.document import Document, Place
from oxillama.chat.formats.grammar.rules import Rules, literal, of_object, regex
from oxillama.chat.formats.tagged.grammar import NAME
from oxillama.chat.values.kinds import ARRAY, OBJECT

if TYPE_CHECKING:
    from oxillama.chat.formats.shape import Lark
    from oxillama.chat.formats.tagged.layout import NestedLayout
    from oxillama.chat.tools import Tool

ITEM = "item"
_DEPTH = 16
_OBJECTS, _ARRAYS = frozenset((OBJECT,)), frozenset((ARRAY,))


class NestedGrammar:
    """The rules for calls in nested tags. What is nested too deep, or has no plain schema, is JSON in its tag."""

    def __init__(self, shape: NestedLayout, lark: Lark) -> None:
        self._shape = shape
        self._lark = lark
        self.rules = Rules(lark)

    def text(self, tools: Sequence[Tool], *, parallel: bool) -> str:
        calls = [self.call(tool) for tool in tools]
        mark, section = self._shape.mark, self._shape.section
        start, end = self._lark.text(f"{mark}<{section}>\n"), self._lark.text(f"{mark}</{section}>")
        return "\n".join(
            [
                f"calls: {start} call_any{'+' if parallel else ''} {end}",
                f"call_any: {' | '.join(calls)}",
                *self.rules.lines,
            ]
        )

    def call(self, tool: Tool) -> str:
        """The name of a rule for a call."""
        document = Document(tool.parameters)
        values = BareValues(self.rules, document, [regex(self._shape.mark)])
        self.rules.refuse(document.root, *of_object(document.root))
        members = self._members(document, values, document.root, 0)
        if document.is_open(document.root):
            member = f"{self._lark.text(f'{self._shape.mark}<')} {self.rules.terminal(NAME)} "
            end = f"{self._shape.mark}</"
            text = f'">" {values.free(Place({}, ""), end)} {self.rules.terminal(NAME)} ">"'
            members.append(self.rules.rule(member + text) + "*")
        head = f'{self._shape.mark}<{self._shape.call} name="'
        tail = f"{self._shape.mark}</{self._shape.call}>\n"
        name = literal(f'{tool.name}">')
        start = f"{self._lark.text(head)} {name}"
        return self.rules.rule(" ".join([start, *members, self._lark.text(tail)]))

    def _members(self, document: Document, values: BareValues, place: Place, depth: int) -> list[str]:
        return [
            self.rules.rule(self._element(document, values, inner, name, depth)) + ("" if required else "?")
            for name, inner, required in document.properties(place)
        ]

    def _element(self, document: Document, values: BareValues, place: Place, name: str, depth: int) -> str:
        place = document.followed(place)
        mark = self._shape.mark
        start, end = f"{mark}<{name}>", f"{mark}</{name}>"
        kinds = document.kinds(place)
        if kinds == _OBJECTS and depth < _DEPTH and not of_object(place) and place.keyword("properties", Mapping):
            inside = self._members(document, values, place, depth + 1)
            return " ".join([self._lark.text(start), *inside, self._lark.text(end)])
        items = place.keyword("items", Mapping)
        if kinds == _ARRAYS and depth < _DEPTH and items is not None and place.asserted == ["items"]:
            item = self.rules.rule(self._element(document, values, place.at("items"), ITEM, depth + 1))
            return f"{self._lark.text(start)} {item}* {self._lark.text(end)}"
        return f"{self._lark.text(start)} {values.value(place, end)}"
