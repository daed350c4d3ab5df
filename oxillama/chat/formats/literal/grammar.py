"""Grammars of calls whose values say themselves what they are: P and G.

P has the values of JSON. G has its own: keys without quotes, and strings between tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oxillama.chat.formats.grammar.document import Document, Place
from oxillama.chat.formats.grammar.rules import Rules, enumerated, literal, of_object, regex
from oxillama.chat.values.kinds import ALL_KINDS, ARRAY, INTEGER, NUMBER, OBJECT, STRING

if TYPE_CHECKING:
    from oxillama.chat.formats.literal.layout import GemmaLayout, PythonicLayout
    from oxillama.chat.formats.shape import Lark
    from oxillama.chat.tools import Tool

_NAME = r"/[A-Za-z_][A-Za-z0-9_]{0,63}/"
_MOST_ITEMS = 1000


class PythonicGrammar:
    """Calls with keyword arguments, whose values are JSON."""

    def __init__(self, shape: PythonicLayout, lark: Lark) -> None:
        self._shape = shape
        self._lark = lark
        self.rules = Rules(lark)

    def text(self, tools: Sequence[Tool], *, parallel: bool) -> str:
        calls = [self.call(tool) for tool in tools]
        more = f"({literal(self._shape.between)} call_any)*" if parallel else ""
        head = f"{self._lark.text(self._shape.calls.open)} call_any {more} {self._lark.text(self._shape.calls.close)}"
        return "\n".join([f"calls: {head}", f"call_any: {' | '.join(calls)}", *self.rules.lines])

    def call(self, tool: Tool) -> str:
        document = Document(tool.parameters)
        root = document.root
        self.rules.refuse(root, *of_object(root))
        parts = [
            (
                self.rules.rule(f"{literal(f'{name}=')} {self.rules.rule(self._lark.json(document.alone(place)))}"),
                required,
            )
            for name, place, required in document.properties(root)
        ]
        if document.is_open(root):
            any_value = self.rules.rule(self._lark.json({}))
            member = self.rules.rule(f'{self.rules.terminal(_NAME)} "=" {any_value}')
            parts.append((self.rules.rule(f'{member} (", " {member})*'), False))
        inside = self.rules.sequence(self.rules.fresh(), parts, '", "')
        return self.rules.rule(f'{literal(f"{tool.name}(")} {inside} ")"')


class GemmaGrammar:
    """Calls with bare keys."""

    def __init__(self, shape: GemmaLayout, lark: Lark) -> None:
        self._shape = shape
        self._lark = lark
        self.rules = Rules(lark)
        self._places: dict[tuple[int, str], str] = {}
        self._document = Document(None)
        self._number = 0

    def text(self, tools: Sequence[Tool], *, parallel: bool) -> str:
        calls = [self.call(tool) for tool in tools]
        head = f"calls: call_any{'+' if parallel else ''}"
        return "\n".join([head, f"call_any: {' | '.join(calls)}", *self.rules.lines])

    def call(self, tool: Tool) -> str:
        self._document = Document(tool.parameters)
        self._number += 1
        root = self._document.root
        self.rules.refuse(root, *of_object(root))
        start, end = self._shape.call.open + "call:", "}" + self._shape.call.close
        inside = self._members(root)
        return self.rules.rule(f"{self._lark.text(start)} {literal(tool.name + '{')} {inside} {self._lark.text(end)}")

    def _members(self, place: Place) -> str:
        parts = [
            (self.rules.rule(f"{literal(name + ':')} {self._value(value)}"), required)
            for name, value, required in self._document.properties(place)
        ]
        if self._document.is_open(place):
            declared = place.schema.get("additionalProperties") if isinstance(place.schema, Mapping) else None
            inner = place.at("additionalProperties") if isinstance(declared, Mapping) else Place({}, "")
            member = self.rules.rule(f'{self.rules.terminal(_NAME)} ":" {self._value(inner)}')
            parts.append((self.rules.rule(f'{member} ("," {member})*'), False))
        return self.rules.sequence(self.rules.fresh(), parts, '","')

    def _value(self, place: Place) -> str:
        """The name of a rule for a value. A schema that contains itself has a rule that does."""
        place = self._document.followed(place)
        if not isinstance(place.schema, Mapping):
            place = Place({}, "")
        key = (self._number if place.schema else 0, place.pointer if place.schema else "")
        if key not in self._places:
            self._places[key] = name = self.rules.fresh()
            options = self._options(place)
            self.rules.lines.append(f"{name}: {' | '.join(options)}")
        return self._places[key]

    def _options(self, place: Place) -> list[str]:
        values = enumerated(place)
        if values is not None:
            self.rules.refuse(place, *(key for key in place.asserted if key not in ("enum", "const")))
            return [self._constant(value) for value in values]
        for keyword in ("anyOf", "oneOf"):
            branches = place.keyword(keyword, Sequence)
            if branches:
                self.rules.refuse(place, *(key for key in place.asserted if key != keyword))
                found = [self._document.followed(place.at(keyword, at)) for at in range(len(branches))]
                if keyword == "oneOf" and not self._document.apart(found):
                    self.rules.refuse(place, keyword)
                return [self._value(branch) for branch in found]
        kinds = self._document.kinds(place)
        kinds = ALL_KINDS if kinds is None else kinds
        options = [self._of_kind(place, kind) for kind in sorted(kinds - ({INTEGER} if NUMBER in kinds else set()))]
        heeded: tuple[str, ...] = ("pattern", "minLength", "maxLength") if STRING in kinds else ()
        heeded += ("items", "minItems", "maxItems") if ARRAY in kinds else ()
        heeded += tuple(key for key in place.asserted if key not in of_object(place)) if OBJECT in kinds else ()
        heeded += _OF_NUMBERS if kinds & {NUMBER, INTEGER} else ()
        self.rules.refuse(place, *(key for key in place.asserted if key not in heeded))
        return options

    def _of_kind(self, place: Place, kind: str) -> str:
        if kind == STRING:
            quote = self._lark.text(self._shape.quote)
            end = self._shape.quote
            return f"{quote} {self.rules.text(end, *self.rules.conditions(place), without=[regex(end)])}"
        if kind == ARRAY:
            return self._array(place)
        if kind == OBJECT:
            return f'"{{" {self._members(place)} "}}"'
        numeric = {key: place.schema[key] for key in _OF_NUMBERS if key in place.schema}
        return self.rules.rule(self._lark.json({"type": kind, **(numeric if kind in (NUMBER, INTEGER) else {})}))

    def _array(self, place: Place) -> str:
        declared = place.keyword("items", Mapping)
        item = self._value(place.at("items") if declared is not None else Place({}, ""))
        least, most = place.keyword("minItems", int) or 0, place.keyword("maxItems", int)
        if least > _MOST_ITEMS or (most is not None and not least <= most <= _MOST_ITEMS):
            self.rules.refuse(place, "maxItems" if most is not None else "minItems")
            least, most = 0, None
        if most == 0:
            return '"[]"'
        more = f'("," {item}){{{max(least - 1, 0)},{"" if most is None else most - 1}}}'
        some = f'"[" {item} {more} "]"'
        return some if least else f'("[]" | {some})'

    def _constant(self, value: Any) -> str:
        """The expression for one value. Strings must not contain what ends them."""
        pieces = re.split("(\ue000|\ue001)", self._spelled(value))
        marks = {"\ue000": self._lark.text(self._shape.quote)}
        return " ".join(marks.get(piece) or literal(piece) for piece in pieces if piece)

    def _spelled(self, value: Any) -> str:
        if isinstance(value, str):
            return f"\ue000{value}\ue000"
        if isinstance(value, Mapping):
            return "{" + ",".join(f"{key}:{self._spelled(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "[" + ",".join(map(self._spelled, value)) + "]"
        return json.dumps(value)


_OF_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
