"""Which types a schema allows for a parameter."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.chat.values.kinds import Parameters


@pytest.mark.parametrize(
    ("schema", "kinds"),
    [
        ({"type": "string"}, {"string"}),
        ({"type": ["integer", "null"]}, {"integer", "null"}),
        ({"type": "STRING"}, {"string"}),
        ({"enum": ["a", 1, None, 1.5, True]}, {"string", "integer", "null", "number", "boolean"}),
        ({"const": [1]}, {"array"}),
        ({"type": "string", "enum": ["1", "2"]}, {"string"}),
        ({"anyOf": [{"type": "string"}, {"type": "object"}]}, {"string", "object"}),
        ({"oneOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]}, {"integer", "null"}),
        ({"allOf": [{"type": ["string", "integer"]}, {"type": "number"}]}, {"integer"}),
        ({"$ref": "#/$defs/t"}, {"integer"}),
        ({"$ref": "#/$defs/a~1b"}, {"boolean"}),
        ({"$ref": "#/$defs/more/1"}, {"array"}),
        ({"properties": {}}, {"object"}),
        ({"items": {}}, {"array"}),
        ({"pattern": "a"}, {"string"}),
        ({"type": "string", "nullable": True}, {"string", "null"}),
        ({"type": "no such type"}, None),
        ({"anyOf": [{"type": "string"}, {}]}, None),
        ({"$ref": "#/$defs/missing"}, None),
        ({"$ref": "https://example.com/schema"}, None),
        ({"$ref": "#/properties/x"}, None),
        ({}, None),
        (True, None),
        ("nonsense", None),
    ],
)
def test_the_types_of_a_parameter(schema: Any, kinds: set[str] | None) -> None:
    defs = {"t": {"type": "integer"}, "a/b": {"type": "boolean"}, "more": [{}, {"type": "array"}]}
    assert Parameters({"properties": {"x": schema}, "$defs": defs}).kinds("x") == kinds


def test_a_parameter_that_is_not_declared_has_no_known_type() -> None:
    assert Parameters(None).kinds("x") is None
    assert Parameters({"type": "object"}).kinds("x") is None


def test_parameters_behind_references_and_combinations_are_found() -> None:
    schema = {
        "allOf": [{"$ref": "#/$defs/base"}, {"properties": {"b": {"type": "null"}}}],
        "$defs": {"base": {"properties": {"a": {"type": "array", "items": {"type": "boolean"}}}}},
    }
    parameters = Parameters(schema)
    assert parameters.kinds("a") == frozenset(("array",))
    assert parameters.kinds("b") == frozenset(("null",))
    assert parameters.items_of(parameters.schema("a")) == {"type": "boolean"}


def test_a_hostile_schema_costs_little() -> None:
    branches: dict[str, Any] = {"type": "string"}
    for _ in range(25):  # 2^25 paths
        branches = {"anyOf": [branches, branches]}
    assert Parameters({"properties": {"x": branches}}).kinds("x") is None
    chain: dict[str, Any] = {"type": "string"}
    for _ in range(200):
        chain = {"allOf": [chain]}
    assert Parameters({"properties": {"x": chain}}).kinds("x") is None


def test_types_that_exclude_each_other_leave_the_first() -> None:
    assert Parameters({"properties": {"x": {"type": "string", "enum": [1]}}}).kinds("x") == frozenset(("string",))
