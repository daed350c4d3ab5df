"""Which JSON types a tool's schema allows for a parameter.

Only what decides how bare text is read is taken from a schema; whether a value is valid is another question. Schemas
come from clients, so the search is bounded in depth and in the number of schemas visited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

NULL, INTEGER, NUMBER, BOOLEAN, OBJECT, ARRAY, STRING = (
    "null", "integer", "number", "boolean", "object", "array", "string",
)  # fmt: skip
ALL_KINDS = frozenset((NULL, INTEGER, NUMBER, BOOLEAN, OBJECT, ARRAY, STRING))
Kinds = frozenset[str]

_DEPTH = 32
_VISITS = 2_000
# Keywords that say what a value is when `type` does not.
_HINTS = {
    "properties": OBJECT, "additionalProperties": OBJECT, "patternProperties": OBJECT, "required": OBJECT,
    "items": ARRAY, "prefixItems": ARRAY, "minItems": ARRAY, "maxItems": ARRAY,
    "pattern": STRING, "minLength": STRING, "maxLength": STRING, "format": STRING,
    "minimum": NUMBER, "maximum": NUMBER, "exclusiveMinimum": NUMBER, "exclusiveMaximum": NUMBER, "multipleOf": NUMBER,
}  # fmt: skip


class Parameters:
    """The parameters of one tool: for each name the schema and the types that it allows."""

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self._root: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
        self._resolver = _Resolver(self._root)
        self._kinds: dict[str, Kinds | None] = {}

    def schema(self, name: str) -> Any:
        """The schema of a parameter; None: the tool does not declare it."""
        return self._resolver.property_of(self._root, name)

    def kinds(self, name: str) -> Kinds | None:
        """The types that a parameter may have; None: nothing is known of it."""
        if name not in self._kinds:
            schema = self.schema(name)
            self._kinds[name] = None if schema is None else self._resolver.kinds(schema)
        return self._kinds[name]

    def kinds_of(self, schema: Any) -> Kinds | None:
        """The types that a part of the tool's schema allows; None: any."""
        return self._resolver.kinds(schema)

    def property_of(self, schema: Any, name: str) -> Any:
        """The schema of a property of an object; None: not declared."""
        return self._resolver.property_of(schema, name)

    def items_of(self, schema: Any) -> Any:
        """The schema of an array's items; None: not declared."""
        return self._resolver.items_of(schema)

    def target(self, reference: str) -> Any:
        """What a reference within the document points to; None: nothing."""
        return self._resolver.target(reference)


class _Resolver:
    """Reads one schema document; `visits` bounds what one question may cost."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._visits = 0

    def kinds(self, schema: Any) -> Kinds | None:
        self._visits = 0
        return self._kinds(schema, 0)

    def property_of(self, schema: Any, name: str) -> Any:
        self._visits = 0
        return self._find(schema, lambda part: _property(part, name), 0)

    def items_of(self, schema: Any) -> Any:
        self._visits = 0
        return self._find(schema, lambda part: part.get("items"), 0)

    def _kinds(self, schema: Any, depth: int) -> Kinds | None:
        self._visits += 1
        if not isinstance(schema, Mapping) or depth > _DEPTH or self._visits > _VISITS:
            return None
        kinds = _own_kinds(schema)
        if "$ref" in schema:
            kinds = _both(kinds, self._kinds(self.target(schema["$ref"]), depth + 1))
        for keyword in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(keyword), Sequence) and branches:
                kinds = _both(kinds, self._any(branches, depth))
        if isinstance(branches := schema.get("allOf"), Sequence):
            for branch in branches:
                kinds = _both(kinds, self._kinds(branch, depth + 1))
        if kinds is None and (hints := {kind for keyword, kind in _HINTS.items() if keyword in schema}):
            kinds = frozenset(hints)
        if kinds is not None and schema.get("nullable") is True:
            kinds |= {NULL}
        return kinds

    def _any(self, branches: Sequence[Any], depth: int) -> Kinds | None:
        together: Kinds = frozenset()
        for branch in branches:
            kinds = self._kinds(branch, depth + 1)
            if kinds is None:
                return None
            together |= kinds
        return together

    def _find(self, schema: Any, look: Any, depth: int) -> Any:
        """The first thing found in the schema, or in what it refers to and combines."""
        self._visits += 1
        if not isinstance(schema, Mapping) or depth > _DEPTH or self._visits > _VISITS:
            return None
        if (found := look(schema)) is not None:
            return found
        parts = [self.target(schema["$ref"])] if "$ref" in schema else []
        for keyword in ("allOf", "anyOf", "oneOf"):
            if isinstance(branches := schema.get(keyword), Sequence) and not isinstance(branches, str):
                parts += branches
        for part in parts:
            if (found := self._find(part, look, depth + 1)) is not None:
                return found
        return None

    def target(self, pointer: Any) -> Any:
        """What a reference within the document points to; None: nothing."""
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            return None
        target: Any = self._root
        for step in pointer[1:].split("/")[1:][:_DEPTH]:
            step = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping):
                target = target.get(step)
            elif isinstance(target, Sequence) and not isinstance(target, str) and step.isdecimal() and len(step) < 7:
                target = target[int(step)] if int(step) < len(target) else None
            else:
                return None
        return target


def _property(schema: Mapping[str, Any], name: str) -> Any:
    properties = schema.get("properties")
    return properties.get(name) if isinstance(properties, Mapping) else None


def _own_kinds(schema: Mapping[str, Any]) -> Kinds | None:
    kinds: Kinds | None = None
    given = schema.get("type")
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Sequence) and (named := {str(kind).lower() for kind in given[:16]} & ALL_KINDS):
        kinds = frozenset(named)
    if isinstance(values := schema.get("enum"), Sequence) and not isinstance(values, str) and values:
        kinds = _both(kinds, frozenset(map(kind_of, values)))
    if "const" in schema:
        kinds = _both(kinds, frozenset({kind_of(schema["const"])}))
    return kinds


def _both(one: Kinds | None, other: Kinds | None) -> Kinds | None:
    """The types that both allow. If there are none, the first counts: no text could be read by an empty set."""
    if one is None or other is None:
        return other if one is None else one
    common = {kind for kind in one if kind in other or (kind == INTEGER and NUMBER in other)}
    common |= {kind for kind in other if kind == INTEGER and NUMBER in one}
    return frozenset(common) or one


def kind_of(value: Any) -> str:
    """The type of a decoded JSON value."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return INTEGER
    if isinstance(value, float):
        return NUMBER
    if isinstance(value, str):
        return STRING
    return OBJECT if isinstance(value, Mapping) else ARRAY


def kind_of_json(text: str) -> str:
    """The type of a JSON text; numbers are numbers, integers or not."""
    kinds = {"{": OBJECT, "[": ARRAY, '"': STRING, "t": BOOLEAN, "f": BOOLEAN, "n": NULL}
    return kinds.get(text[:1], NUMBER)
