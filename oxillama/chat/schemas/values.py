"""Whether a value matches a schema, keyword by keyword (JSON Schema 2020-12, validation).

`format` is heeded where the grammars heed it (formats.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from oxillama.chat.schemas.formats import matches_format
from oxillama.chat.schemas.matching import MOST_PATTERNS, found_in
from oxillama.chat.schemas.pattern import PatternError

if TYPE_CHECKING:
    from oxillama.chat.schemas.document import Document, Place, SchemaError

MOST_CHECKS = 200_000
"""Of values against schemas, for one document. These take about two seconds. A pattern counts as one for each
CHARACTERS of the text in which it is looked for."""
CHARACTERS = 64

TYPES = ("null", "boolean", "number", "string", "array", "object")


@dataclass(slots=True)
class Seen:
    """Members and items that schemas have looked at, for `unevaluatedProperties` and `unevaluatedItems`."""

    names: set[str] = field(default_factory=set)
    items: set[int] = field(default_factory=set)

    def add(self, other: Seen) -> None:
        self.names |= other.names
        self.items |= other.items


def type_of(value: Any) -> str:
    """The JSON type of a value; "number" for integers too."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list | tuple) else "object"


def is_integer(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1


@lru_cache(1024)
def exact(number: float | int) -> Fraction:
    """A number as it is written: 0.1 is a tenth."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    kind = type_of(a)
    if kind != type_of(b):
        return False
    if kind == "array":
        return len(a) == len(b) and all(map(same, a, b))
    if kind == "object":
        return a.keys() == b.keys() and all(same(value, b[name]) for name, value in a.items())
    return bool(a == b)


def key_of(value: Any) -> str:
    """A text that is the same for equal JSON values only."""
    return json.dumps(_normal(value), sort_keys=True)


def _normal(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _normal(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Checker:
    """Checks values against the places of one document."""

    def __init__(self, document: Document, refuse: Callable[[SchemaError], None]) -> None:
        """refuse: takes errors of what cannot be checked, and raises them if it is not to be passed over."""
        self._document = document
        self._refuse = refuse
        self._keys: dict[str, frozenset[str]] = {}  # of enumerations, by their paths
        self._left = MOST_CHECKS
        self._patterns: set[object] = set()  # that were looked for

    def accepts(self, place: Place, value: Any) -> bool:
        return self.holds(place, value, Seen())

    def holds(self, place: Place, value: Any, seen: Seen) -> bool:
        """Whether a value matches. If it does, `seen` grows by what the schema has looked at.

        Raises SchemaError after MOST_CHECKS: references may double the schemas to be checked at each of their levels.
        """
        self._spend(place, 1)
        schema = place.schema
        if not isinstance(schema, Mapping):
            return schema is not False
        mine = Seen()
        for keyword in sorted(schema, key=_LAST.__contains__):
            check = _CHECKS.get(keyword)
            try:
                if check is not None and not check(self, place, value, mine):
                    return False
            except PatternError as error:
                self._refuse(place.error(keyword, str(error)))
        seen.add(mine)
        return True

    def _spend(self, place: Place, checks: int) -> None:
        self._left -= checks
        if self._left < 0:
            raise place.error("", "has too many combinations of its alternatives")

    def _found(self, place: Place, pattern: object, text: str) -> bool:
        """Whether a pattern is found in a text. Raises PatternError."""
        self._spend(place, 1 + len(text) // CHARACTERS)
        self._patterns.add(pattern)
        if len(self._patterns) > MOST_PATTERNS:
            raise PatternError(f"is one of more than {MOST_PATTERNS} patterns to look for")
        return found_in(pattern, text)

    # Each returns whether the keyword is content with the value.

    def _type(self, place: Place, value: Any, seen: Seen) -> bool:
        given = place.schema["type"]
        types = [given] if isinstance(given, str) else given
        return type_of(value) in types or ("integer" in types and is_integer(value))

    def _enum(self, place: Place, value: Any, seen: Seen) -> bool:
        keys = self._keys.get(place.path)
        if keys is None:
            keys = self._keys[place.path] = frozenset(map(key_of, place.schema["enum"]))
        return key_of(value) in keys

    def _const(self, place: Place, value: Any, seen: Seen) -> bool:
        return same(value, place.schema["const"])

    def _ref(self, place: Place, value: Any, seen: Seen) -> bool:
        return self.holds(self._document.target(place, "$ref"), value, seen)

    def _dynamic_ref(self, place: Place, value: Any, seen: Seen) -> bool:
        return self.holds(self._document.target(place, "$dynamicRef"), value, seen)

    def _several(self, place: Place, keyword: str, value: Any, seen: Seen) -> int:
        return sum(
            self.holds(self._document.child(place, keyword, i), value, seen) for i in range(len(place.schema[keyword]))
        )

    def _all_of(self, place: Place, value: Any, seen: Seen) -> bool:
        return self._several(place, "allOf", value, seen) == len(place.schema["allOf"])

    def _any_of(self, place: Place, value: Any, seen: Seen) -> bool:
        return self._several(place, "anyOf", value, seen) > 0

    def _one_of(self, place: Place, value: Any, seen: Seen) -> bool:
        return self._several(place, "oneOf", value, seen) == 1

    def _not(self, place: Place, value: Any, seen: Seen) -> bool:
        return not self.holds(self._document.child(place, "not"), value, Seen())

    def _if(self, place: Place, value: Any, seen: Seen) -> bool:
        then = "then" if self.holds(self._document.child(place, "if"), value, seen) else "else"
        return then not in place.schema or self.holds(self._document.child(place, then), value, seen)

    def _properties(self, place: Place, value: Any, seen: Seen) -> bool:
        if not isinstance(value, Mapping):
            return True
        names = [name for name in place.schema["properties"] if name in value]
        seen.names.update(names)
        child = self._document.child
        return all(self.accepts(child(place, "properties", name), value[name]) for name in names)

    def _pattern_properties(self, place: Place, value: Any, seen: Seen) -> bool:
        if not isinstance(value, Mapping):
            return True
        good = True
        for pattern in place.schema["patternProperties"]:
            inner = self._document.child(place, "patternProperties", pattern)
            for name in [name for name in value if self._found(place, pattern, name)]:
                seen.names.add(name)
                good = good and self.accepts(inner, value[name])
        return good

    def _additional_properties(self, place: Place, value: Any, seen: Seen) -> bool:
        if not isinstance(value, Mapping):
            return True
        names = [name for name in value if not self._is_declared(place, name)]
        seen.names.update(names)
        return all(self._member(place, "additionalProperties", value[name]) for name in names)

    def _is_declared(self, place: Place, name: str) -> bool:
        """Whether the `properties` or `patternProperties` of a schema name a member."""
        return name in (place.schema.get("properties") or {}) or any(
            self._found(place, pattern, name) for pattern in place.schema.get("patternProperties") or {}
        )

    def _unevaluated_properties(self, place: Place, value: Any, seen: Seen) -> bool:
        if not isinstance(value, Mapping):
            return True
        names = [name for name in value if name not in seen.names]
        seen.names.update(names)
        return all(self._member(place, "unevaluatedProperties", value[name]) for name in names)

    def _member(self, place: Place, keyword: str, value: Any) -> bool:
        return self.accepts(self._document.child(place, keyword), value)

    def _property_names(self, place: Place, value: Any, seen: Seen) -> bool:
        return not isinstance(value, Mapping) or all(self._member(place, "propertyNames", name) for name in value)

    def _required(self, place: Place, value: Any, seen: Seen) -> bool:
        given = place.schema["required"]
        return not isinstance(value, Mapping) or not isinstance(given, list) or all(name in value for name in given)

    def _min_properties(self, place: Place, value: Any, seen: Seen) -> bool:
        return not isinstance(value, Mapping) or len(value) >= place.schema["minProperties"]

    def _max_properties(self, place: Place, value: Any, seen: Seen) -> bool:
        return not isinstance(value, Mapping) or len(value) <= place.schema["maxProperties"]

    def _dependent_required(self, place: Place, value: Any, seen: Seen) -> bool:
        given = place.schema["dependentRequired"]
        if not isinstance(value, Mapping):
            return True
        return all(needed in value for name, all_ in given.items() if name in value for needed in all_)

    def _dependent_schemas(self, place: Place, value: Any, seen: Seen) -> bool:
        return self._dependent(place, "dependentSchemas", value, seen)

    def _dependencies(self, place: Place, value: Any, seen: Seen) -> bool:
        given = place.schema["dependencies"]
        if not isinstance(value, Mapping):
            return True
        lists = {name: one for name, one in given.items() if isinstance(one, list) and name in value}
        if not all(needed in value for all_ in lists.values() for needed in all_):
            return False
        return self._dependent(place, "dependencies", value, seen)

    def _dependent(self, place: Place, keyword: str, value: Any, seen: Seen) -> bool:
        if not isinstance(value, Mapping):
            return True
        names = [n for n, one in place.schema[keyword].items() if n in value and not isinstance(one, list)]
        return all(self.holds(self._document.child(place, keyword, name), value, seen) for name in names)

    def _items(self, place: Place, value: Any, seen: Seen) -> bool:
        if not isinstance(value, list):
            return True
        if isinstance(place.schema["items"], list):
            return self._prefix(place, "items", value, seen)
        prefix = place.schema.get("prefixItems")
        start = len(prefix) if isinstance(prefix, list) else 0
        return self._rest(place, "items", value, seen, range(start, len(value)))

    def _additional_items(self, place: Place, value: Any, seen: Seen) -> bool:
        prefix = place.schema.get("items")
        if not isinstance(value, list) or not isinstance(prefix, list):
            return True
        return self._rest(place, "additionalItems", value, seen, range(len(prefix), len(value)))

    def _unevaluated_items(self, place: Place, value: Any, seen: Seen) -> bool:
        if not isinstance(value, list):
            return True
        left = [i for i in range(len(value)) if i not in seen.items]
        return self._rest(place, "unevaluatedItems", value, seen, left)

    def _rest(self, place: Place, keyword: str, value: Any, seen: Seen, at: Any) -> bool:
        seen.items.update(at)
        inner = self._document.child(place, keyword)
        return all(self.accepts(inner, value[i]) for i in at)

    def _prefix_items(self, place: Place, value: Any, seen: Seen) -> bool:
        return not isinstance(value, list) or self._prefix(place, "prefixItems", value, seen)

    def _prefix(self, place: Place, keyword: str, value: Any, seen: Seen) -> bool:
        n = min(len(value), len(place.schema[keyword]))
        seen.items.update(range(n))
        return all(self.accepts(self._document.child(place, keyword, i), value[i]) for i in range(n))

    def _contains(self, place: Place, value: Any, seen: Seen) -> bool:
        if not isinstance(value, list):
            return True
        inner = self._document.child(place, "contains")
        found = [i for i, item in enumerate(value) if self.accepts(inner, item)]
        seen.items.update(found)
        low, high = place.schema.get("minContains", 1), place.schema.get("maxContains")
        return len(found) >= low and (high is None or len(found) <= high)

    def _unique_items(self, place: Place, value: Any, seen: Seen) -> bool:
        if not isinstance(value, list) or place.schema["uniqueItems"] is not True:
            return True
        return len(set(map(key_of, value))) == len(value)

    def _pattern(self, place: Place, value: Any, seen: Seen) -> bool:
        return not isinstance(value, str) or self._found(place, place.schema["pattern"], value)

    def _format(self, place: Place, value: Any, seen: Seen) -> bool:
        return not isinstance(value, str) or matches_format(place.schema["format"], value)


def _compares(kinds: type | tuple[type, ...], test: Callable[[Any, Any], bool], keyword: str) -> Any:
    def check(checker: Checker, place: Place, value: Any, seen: Seen) -> bool:
        return not isinstance(value, kinds) or isinstance(value, bool) or test(value, place.schema[keyword])

    return check


def _bounds(name: str, test: Callable[[Any, Any], bool], bound: str) -> Any:
    """`exclusiveMinimum` is a number, or (draft 4) a flag beside `minimum`."""

    def check(checker: Checker, place: Place, value: Any, seen: Seen) -> bool:
        limit = place.schema[name]
        if isinstance(limit, bool):
            limit = place.schema.get(bound) if limit else None
        return not isinstance(value, int | float) or isinstance(value, bool) or limit is None or test(value, limit)

    return check


_NUMBERS = (int, float)
_LAST = {"unevaluatedProperties": 1, "unevaluatedItems": 1}
_CHECKS: dict[str, Callable[[Checker, Place, Any, Seen], bool]] = {
    "$dynamicRef": Checker._dynamic_ref,
    "$ref": Checker._ref,
    "additionalItems": Checker._additional_items,
    "additionalProperties": Checker._additional_properties,
    "allOf": Checker._all_of,
    "anyOf": Checker._any_of,
    "const": Checker._const,
    "contains": Checker._contains,
    "dependencies": Checker._dependencies,
    "dependentRequired": Checker._dependent_required,
    "dependentSchemas": Checker._dependent_schemas,
    "enum": Checker._enum,
    "exclusiveMaximum": _bounds("exclusiveMaximum", lambda value, limit: value < limit, "maximum"),
    "exclusiveMinimum": _bounds("exclusiveMinimum", lambda value, limit: value > limit, "minimum"),
    "format": Checker._format,
    "if": Checker._if,
    "items": Checker._items,
    "maxItems": _compares(list, lambda value, limit: len(value) <= limit, "maxItems"),
    "maxLength": _compares(str, lambda value, limit: len(value) <= limit, "maxLength"),
    "maxProperties": Checker._max_properties,
    "maximum": _compares(_NUMBERS, lambda value, limit: value <= limit, "maximum"),
    "minItems": _compares(list, lambda value, limit: len(value) >= limit, "minItems"),
    "minLength": _compares(str, lambda value, limit: len(value) >= limit, "minLength"),
    "minProperties": Checker._min_properties,
    "minimum": _compares(_NUMBERS, lambda value, limit: value >= limit, "minimum"),
    "multipleOf": _compares(_NUMBERS, lambda value, of: exact(value) % exact(of) == 0, "multipleOf"),
    "not": Checker._not,
    "oneOf": Checker._one_of,
    "pattern": Checker._pattern,
    "patternProperties": Checker._pattern_properties,
    "prefixItems": Checker._prefix_items,
    "properties": Checker._properties,
    "propertyNames": Checker._property_names,
    "required": Checker._required,
    "type": Checker._type,
    "unevaluatedItems": Checker._unevaluated_items,
    "unevaluatedProperties": Checker._unevaluated_properties,
    "uniqueItems": Checker._unique_items,
}
