"""Grammars of bare values: the texts of tags, which the tool's schema says how to read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from oxillama.chat.formats.grammar.document import Document, Place
from oxillama.chat.formats.grammar.rules import Rules, beyond, enumerated, literal
from oxillama.chat.values.kinds import NULL, STRING, Kinds
from oxillama.chat.values.tagged import tagged_value

STRINGS = frozenset((STRING,))
STRINGS_AND_NULL = frozenset((STRING, NULL))
OF_STRINGS = ("pattern", "minLength", "maxLength")


_OF_OTHERS = frozenset(
    (
        "additionalProperties", "contains", "dependentRequired", "dependentSchemas", "exclusiveMaximum",
        "exclusiveMinimum", "items", "maxContains", "maxItems", "maxProperties", "maximum", "minContains", "minItems",
        "minProperties", "minimum", "multipleOf", "patternProperties", "prefixItems", "properties", "propertyNames",
        "required", "unevaluatedItems", "unevaluatedProperties", "uniqueItems",
    )
)  # fmt: skip
"""Keywords that restrict no string."""


class BareValues:
    """Writes the expressions for the values of one tool, each with the text that ends it.

    barred: regular expressions of what a string must not contain, where no special token ends it. never: those of what
    it must not contain anyway.
    """

    def __init__(self, rules: Rules, document: Document, barred: Sequence[str], never: Sequence[str] = ()) -> None:
        self._rules = rules
        self._lark = rules.lark
        self._document = document
        self._barred = barred
        self._never = never

    def value(self, place: Place, end: str) -> str:
        """A value whose type the schema decides."""
        values = enumerated(place)
        kinds = self._document.kinds(place)
        if values is not None:
            # A string that the reader takes for something else cannot be written.
            if any(isinstance(value, str) and not tagged_value(value, kinds).startswith('"') for value in values):
                self._rules.refuse(place, "enum")
            return self._listed(place, values, end)
        if kinds == STRINGS:
            return self.string(place, end)
        if kinds is not None and STRING not in kinds:
            return self.json(place, end)
        if kinds == STRINGS_AND_NULL:
            if (branches := alternatives(place, self._document)) is not None:
                return "(" + " | ".join(self.value(branch, end) for branch in branches) + ")"
            if set(place.asserted) <= set(OF_STRINGS):
                return f"({self.string(place, end)} | {literal('null')} {self._lark.text(end)})"
        return self.free(place, end)

    def string(self, place: Place, end: str) -> str:
        """A value that is a string, whatever other types the schema allows."""
        values = enumerated(place)
        if values is not None:
            return self._listed(place, [value for value in values if isinstance(value, str)], end)
        self._rules.refuse(place, *(key for key in place.asserted if key not in OF_STRINGS and key not in _OF_OTHERS))
        return self._rules.text(end, *self._rules.conditions(place), without=self._barred, never=self._never)

    def free(self, place: Place, end: str) -> str:
        """Any text: the reader makes of it whatever type it fits."""
        for inner, keyword in beyond(place, self._document):
            self._rules.refuse(inner, keyword)
        return self._rules.text(end, without=self._barred, never=self._never)

    def json(self, place: Place, end: str, kinds: Kinds | None = None) -> str:
        """A value as JSON. kinds: only of these types."""
        schema = self._document.alone(place)
        if kinds is not None:
            schema = _narrowed(schema, {"type": sorted(kinds)}, plain=not place.asserted)
        return f"{self._rules.rule(self._lark.json(schema))} {self._lark.text(end)}"

    def _listed(self, place: Place, values: Sequence[Any], end: str) -> str:
        self._rules.refuse(place, *(key for key in place.asserted if key not in ("enum", "const")))
        texts = [
            literal(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for value in values
        ]
        return f"({' | '.join(texts)}) {self._lark.text(end)}"


_MOST_ALTERNATIVES = 64


def alternatives(place: Place, document: Document) -> list[Place] | None:
    """The schemas of which one must hold, if there is nothing else in the schema, and no value fits two of them.

    Alternatives of alternatives count as one schema: written out, there might be any number.
    """
    if document.is_alternative(place):
        return None
    for keyword in ("anyOf", "oneOf"):
        branches = place.keyword(keyword, Sequence)
        if branches and place.asserted == [keyword]:
            if len(branches) > _MOST_ALTERNATIVES:
                return None
            found = [document.followed(place.at(keyword, at)) for at in range(len(branches))]
            if keyword == "oneOf" and not document.apart(found):
                return None
            document.note_alternatives(found)
            return found
    return None


def _narrowed(schema: Any, types: Mapping[str, Any], *, plain: bool) -> Any:
    if plain:
        return {**schema, **types}
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    return {"allOf": [inner, types]} | ({"$defs": schema["$defs"]} if "$defs" in schema else {})
