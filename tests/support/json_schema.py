"""A validator for JSON Schema (2020-12), and strategies for valid and nearly valid values.

It covers the part that our OpenAPI document uses. An unknown keyword is an error, so that no part of a schema is
ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]
REF = "#/components/schemas/"

ANNOTATIONS = {"title", "description", "default", "examples", "discriminator"}
TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


class Validator:
    """Checks values against schemas whose references point into `components`."""

    def __init__(self, components: Mapping[str, Schema]) -> None:
        self.components = components

    def resolved(self, schema: Schema) -> Schema:
        return self.components[schema["$ref"].removeprefix(REF)] if "$ref" in schema else schema

    def is_valid(self, schema: Schema, value: Any) -> bool:
        return all(self._holds(keyword, schema[keyword], schema, value) for keyword in schema)

    def _holds(self, keyword: str, wanted: Any, schema: Schema, value: Any) -> bool:
        if keyword in ANNOTATIONS:
            return True
        match keyword:
            case "$ref":
                return self.is_valid(self.resolved(schema), value)
            case "anyOf":
                return any(self.is_valid(one, value) for one in wanted)
            case "not":
                return not self.is_valid(wanted, value)
            case "type":
                return any(TYPES[one](value) for one in ([wanted] if isinstance(wanted, str) else wanted))
            case "enum":
                return any(_same(value, one) for one in wanted)
            case "const":
                return _same(value, wanted)
        if isinstance(value, dict):
            return self._object(keyword, wanted, schema, value)
        if isinstance(value, list):
            return self._array(keyword, wanted, value)
        if isinstance(value, str):
            return _string(keyword, wanted, value)
        return _number(keyword, wanted, value) if TYPES["number"](value) else _is_known(keyword)

    def _object(self, keyword: str, wanted: Any, schema: Schema, value: dict[str, Any]) -> bool:
        match keyword:
            case "properties":
                return all(self.is_valid(wanted[name], value[name]) for name in wanted if name in value)
            case "required":
                return all(name in value for name in wanted)
            case "additionalProperties":
                others = [value[name] for name in value if name not in schema.get("properties", {})]
                return not others if wanted is False else all(self.is_valid(wanted, other) for other in others)
            case "propertyNames":
                return all(self.is_valid(wanted, name) for name in value)
            case "maxProperties":
                return len(value) <= int(wanted)
        return _is_known(keyword)

    def _array(self, keyword: str, wanted: Any, value: list[Any]) -> bool:
        match keyword:
            case "items":
                return all(self.is_valid(wanted, item) for item in value)
            case "minItems":
                return len(value) >= int(wanted)
            case "maxItems":
                return len(value) <= int(wanted)
        return _is_known(keyword)


KEYWORDS = {
    "properties", "required", "additionalProperties", "propertyNames", "maxProperties", "items", "minItems", "maxItems",
    "minLength", "maxLength", "pattern", "minimum", "maximum",
}  # fmt: skip


def _is_known(keyword: str) -> bool:
    """Accept a known keyword that applies only to other types. Fails for an unknown keyword."""
    assert keyword in KEYWORDS, f"this validator does not know {keyword!r}"
    return True


def _string(keyword: str, wanted: Any, value: str) -> bool:
    match keyword:
        case "minLength":
            return len(value) >= int(wanted)
        case "maxLength":
            return len(value) <= int(wanted)
        case "pattern":
            return re.search(wanted.replace("$", r"\Z"), value) is not None
    return _is_known(keyword)


def _number(keyword: str, wanted: Any, value: float) -> bool:
    match keyword:
        case "minimum":
            return bool(value >= wanted)
        case "maximum":
            return bool(value <= wanted)
    return _is_known(keyword)


def _same(value: Any, wanted: Any) -> bool:
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.floats(-3, 300).filter(lambda x: x % 1), st.text(max_size=3),
    st.sampled_from([[], {}, "", [None], ["x"], [1], {"a": 1}, [{}], 2**31, 2**63, -(2**31), 1e300, "text", "auto"]),
)  # fmt: skip


class Values:
    """Hypothesis strategies for values of schemas. wild: almost any part may be replaced by an invalid value."""

    def __init__(self, validator: Validator, *, wild: bool) -> None:
        self._validator = validator
        self._wild = wild

    def of(self, schema: Schema) -> st.SearchStrategy[Any]:
        """A strategy for values of `schema`; wild ones may be invalid."""
        return st.composite(self._value)(schema)

    def _value(self, draw: st.DrawFn, schema: Schema) -> Any:
        schema = self._validator.resolved(schema)
        if self._wild and draw(st.integers(0, 15)) == 0:
            return draw(JUNK)
        if "anyOf" in schema:
            return self._value(draw, draw(st.sampled_from(schema["anyOf"])))
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return draw(st.sampled_from(schema["enum"]))
        kinds = schema.get("type", ["null", "boolean", "integer", "string"])
        kind = kinds if isinstance(kinds, str) else draw(st.sampled_from(kinds))
        match kind:
            case "null":
                return None
            case "boolean":
                return draw(st.booleans())
            case "integer":
                return self._integer(draw, schema)
            case "number":
                return self._decimal(draw, schema)
            case "string":
                return self._string(draw, schema)
            case "array":
                return self._array(draw, schema)
        return self._object(draw, schema)

    def _integer(self, draw: st.DrawFn, schema: Schema) -> int:
        low, high = int(schema.get("minimum", -50)), int(schema.get("maximum", 50))
        low, high = (low - 1, high + 1) if self._wild else (low, high)
        return draw(st.sampled_from([low, high]) | st.integers(low, min(high, low + 20)))

    def _decimal(self, draw: st.DrawFn, schema: Schema) -> float:
        low, high = float(schema.get("minimum", -50)), float(schema.get("maximum", 50))
        if self._wild:
            low, high = low - 0.5, high + 0.5
        return draw(st.sampled_from([low, high]) | st.floats(low, high))

    def _string(self, draw: st.DrawFn, schema: Schema) -> str:
        if "pattern" in schema and not (self._wild and draw(st.integers(0, 3)) == 0):
            pattern = schema["pattern"].removesuffix(r"(?!\n)").replace("$", r"\Z")
            return str(draw(st.from_regex(re.compile(pattern, re.ASCII))))
        low, high = int(schema.get("minLength", 0)), int(schema.get("maxLength", 12))
        if high <= 512 and draw(st.integers(0, 7)) == 0:
            return "x" * (high + 1 if self._wild else high)
        return draw(st.text("ab \n<é", min_size=max(low - self._wild, 0), max_size=min(high, 12)))

    def _array(self, draw: st.DrawFn, schema: Schema) -> list[Any]:
        low, high = int(schema.get("minItems", 0)), int(schema.get("maxItems", 3))
        if self._wild and draw(st.integers(0, 9)) == 0:
            item = self._value(draw, schema.get("items", {}))
            return [item] * draw(st.sampled_from([max(low - 1, 0), high + 1]))
        n = draw(st.integers(low, min(high, low + 3)))
        return [self._value(draw, schema.get("items", {})) for _ in range(n)]

    def _object(self, draw: st.DrawFn, schema: Schema) -> dict[str, Any]:
        required = schema.get("required", ())
        found: dict[str, Any] = {}
        for name, inner in schema.get("properties", {}).items():
            chance = 15 if name in required else 3
            if (name in required and not self._wild) or draw(st.integers(0, chance)) > (0 if name in required else 2):
                found[name] = self._value(draw, inner)
        if isinstance(names := schema.get("propertyNames"), dict) or schema.get("additionalProperties"):
            for _ in range(draw(st.integers(0, 2))):
                key = self._string(draw, names or {})
                if self._wild or self._validator.is_valid(names or {}, key):
                    found[key] = self._value(draw, schema.get("additionalProperties", {"type": "integer"}))
        if draw(st.integers(0, 9)) == 0:
            found["no_such_field"] = draw(JUNK)
        return found
