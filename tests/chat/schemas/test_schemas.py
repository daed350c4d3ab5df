"""Grammars of schemas: what they admit, how they refuse what they cannot hold to, and what they cost."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from oxillama.chat.schemas import SchemaError, schema_grammar
from oxillama.errors import GenerationError, InvalidParameterError
from tests.chat.schemas.judge import is_valid
from tests.chat.schemas.walks import admits, admits_value, canonical, compiled, grammars, walk

OBJECT = {"type": "object"}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 10, "title": "A name", "default": "x"},
        "born": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"enum": ["a", "b", 1, None]}, "maxItems": 3},
        "parent": {"$ref": "#"},
    },
    "required": ["name", "born"],
    "additionalProperties": False,
}

SCHEMAS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "object": (
        PERSON,
        [
            {"name": "Ann", "born": "2000-02-29"},
            {"name": "A", "born": "1999-01-01", "parent": {"name": "B", "born": "1970-12-31"}},
        ],
        [
            {"name": "Ann"},
            {"name": "", "born": "2000-01-01"},
            {"name": "A", "born": "2001-02-29"},
            {"name": "A", "born": "2000-01-01", "x": 1},
        ],
    ),
    "any": ({}, [None, True, 1, 1.5, "a\n\"b", [1, [2]], {"a": {"b": []}}], []),
    "map": ({"type": "object", "additionalProperties": {"type": "integer"}}, [{}, {"a": 1, "b": 2}], [{"a": "1"}]),
    "patterns": (
        {"patternProperties": {"^n": {"type": "number"}, "x$": {"minimum": 3}}, "additionalProperties": False},
        [{"n": 1}, {"nx": 3}, {"x": "y"}],
        [{"nx": 2}, {"n": "1"}, {"a": 1}],
    ),
    "one of": (
        {"oneOf": [{"type": "number", "minimum": 5}, {"type": "number", "maximum": 7}, {"type": "string"}]},
        [15, 1, "a"],
        [6, True],
    ),
    "not": ({"type": "string", "not": {"enum": ["a", "b"]}}, ["c", "ab", ""], ["a", "b"]),
    "contains": ({"type": "array", "contains": {"const": 3}, "maxContains": 2}, [[3], [1, 3, 3]], [[], [1], [3, 3, 3]]),
    "unique": ({"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True}, [[], ["b", "a"]], [["a", "a"]]),
    "unique strings": (
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 3},
        [["a", "b", "ab"], ["", "a", '"', "\\"]],
        [["a", "b", "a"], ["", "x", ""], ['"', "b", '"'], ["a", "b"]],
    ),
    "unique numbers": (
        {"type": "array", "items": {"type": "number"}, "uniqueItems": True},
        [[1, 10, 0.1, -1, 1.5], [0, 0.5], []],
        [[1, 1], [0, 10, 0], [1.5, 1.5]],
    ),
    "unique values of any kind": (
        {"type": "array", "uniqueItems": True},
        [[1, "1", [1], {"a": 1}, True, None, False, {}, []], [[], [[]], [[[]]]], [{"a": 1, "b": 2}, {"a": 1, "b": 3}]],
        [[True, True], [{}, {}], [[], []], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], [[1], [1]]],
    ),
    "unique objects": (
        {"type": "array", "uniqueItems": True, "items": PERSON},
        [[{"name": "A", "born": "2000-01-01"}, {"name": "A", "born": "2000-01-02"}]],
        [[{"name": "A", "born": "2000-01-01"}, {"name": "A", "born": "2000-01-01"}]],
    ),
    "unique values of few": (
        {"type": "array", "uniqueItems": True, "minItems": 20,
         "items": {"enum": [f"{a}{b}" for a in "abcde" for b in "fghi"]}},
        [[f"{a}{b}" for a in "abcde" for b in "fghi"]],
        [["af"]],
    ),
    "unique texts of a pattern": (
        {"type": "array", "uniqueItems": True, "items": {"type": "string", "pattern": "^[ab]{1,2}$"}},
        [["a", "b", "aa", "ab", "ba", "bb"]],
        [["a", "ab", "a"]],
    ),
    "unique or not": (
        {"anyOf": [{"type": "array", "uniqueItems": True, "items": {"type": "string"}},
                   {"type": "array", "items": {"type": "integer"}}, {"type": "string"}]},
        [["a", "b"], [1, 1], "a", []],
        [["a", "a"], ["a", 1]],
    ),
    "unique within unique": (
        {"type": "array", "uniqueItems": True,
         "items": {"type": "array", "uniqueItems": True, "items": {"type": "boolean"}}},
        [[[], [True], [False], [True, False], [False, True]]],
        [[[True, True]], [[True], [True]]],
    ),
    "several members of any names": (
        {"type": "object", "minProperties": 3, "required": ["a"], "properties": {"a": {"type": "integer"}}},
        [{"a": 1, "b": 1, "c": 1}],
        [{"a": 1, "b": 1}],
    ),
    "tuple": (
        {"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 1, "type": "array"},
        [[1], [1, "a"]],
        [[], ["a"], [1, "a", 2]],
    ),
    "conditional": (
        {
            "type": "object",
            "properties": {"kind": {"enum": ["a", "b"]}},
            "required": ["kind"],
            "if": {"properties": {"kind": {"const": "a"}}},
            "then": {"required": ["size"], "properties": {"size": {"type": "integer"}}},
        },
        [{"kind": "a", "size": 3}, {"kind": "b"}, {"kind": "b", "size": "x"}],
        [{"kind": "a"}, {"kind": "a", "size": "x"}],
    ),
    "draft 4": ({"type": "integer", "minimum": 3, "exclusiveMinimum": True, "id": "http://x.y/z"}, [4, 100], [3, -1]),
    "counted": ({"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "additionalProperties": False,
                 "minProperties": 2, "maxProperties": 2}, [{"a": 1, "c": 2}], [{"a": 1}, {"a": 1, "b": 1, "c": 1}]),
    "dependent": ({"type": "object", "dependencies": {"a": ["b"]}}, [{}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
    "nested all of": (
        {"allOf": [{"properties": {"a": {"minimum": 2}}}, {"properties": {"a": {"type": "integer"}}}, OBJECT]},
        [{"a": 2}, {}],
        [{"a": 1}, {"a": 2.5}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_grammar_admits_what_matches_and_nothing_else(name: str) -> None:
    schema, good, bad = SCHEMAS[name]
    grammar = compiled(schema)
    assert [value for value in good if not admits_value(grammar, value)] == []
    assert [value for value in bad if admits_value(grammar, value)] == []
    rng = random.Random(name)
    made = [text for _ in range(15) if (text := walk(grammar, rng)) is not None]
    assert made
    assert [text for text in made if not is_valid(schema, json.loads(text))] == []


def test_listed_members_come_in_the_order_of_the_schema() -> None:
    grammar = compiled({"properties": {"b": {}, "a": {}}, "required": ["c"], "type": "object"})
    assert admits(grammar, '{"b":1,"a":2,"c":3,"x":4}')
    assert not admits(grammar, '{"a":2,"b":1,"c":3}')


@pytest.mark.parametrize(
    ("spacing", "good", "bad"),
    [
        ("none", ['{"a":[1,2]}'], ['{"a": [1,2]}', '{ "a":[1,2]}']),
        ("single", ['{"a": [1, 2]}', '{"a":[1,2]}'], ['{"a":  [1, 2]}', '{ "a": [1, 2]}']),
        ("free", ['{\n  "a": [\n    1,\n    2\n  ]\n}', '{"a":[1,2]}'], [' {"a":[1,2]}', '{"a":' + " " * 41 + "[1]}"]),
    ],
)
def test_white_space(spacing: Any, good: list[str], bad: list[str]) -> None:
    grammar = compiled({"type": "object", "properties": {"a": {"type": "array"}}}, spacing=spacing)
    assert [text for text in good if not admits(grammar, text)] == []
    assert [text for text in bad if admits(grammar, text)] == []


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"properties": {"a": {"uniqueItems": True, "minItems": 2, "prefixItems": [{"enum": [1, 2]}, {"const": 1}]}}},
         "'uniqueItems' at '/properties/a' is not expressible"),
        ({"$ref": "other.json"}, "'$ref' at '/' refers to 'other.json', which is not in the schema"),
        ({"properties": {"a/b": {"pattern": "(?=x)y"}}}, "'pattern' at '/properties/a~1b' has a lookaround"),
        ({"not": {"multipleOf": 3}}, "'multipleOf' at '/not' is negated"),
        ({"type": "sting"}, "'type' at '/' is 'sting', which is not a type"),
        ({"minLength": -1}, "'minLength' at '/' is not a whole number"),
        ({"multipleOf": 0.123456789}, "'multipleOf' at '/' has too many digits"),
        ({"uniqueItems": True, "items": {"enum": ["a", "b", "a"]}, "minItems": 3, "type": "array"}, "admits no value"),
        ({"enum": []}, "admits no value"),
        ({"required": ["a"], "properties": {"a": False}, "type": "object"}, "admits no value"),
        ({"type": "object", "required": ["x"], "properties": {"x": {"$ref": "#"}}}, "admits no value"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_named_with_its_path(schema: Any, message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        schema_grammar(schema)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lenient_grammars_leave_out_what_they_cannot_express_and_say_so() -> None:
    schema = {"type": "array", "items": {"type": "string", "pattern": "(?=x)"}, "maxItems": 2}
    written = schema_grammar(schema, lenient=True)
    assert set(written.left_out) == {("pattern", "/items")}
    grammar = compiled(schema, lenient=True)
    assert admits(grammar, '["a","b"]')
    assert not admits(grammar, '["a","b","c"]')


def _deep() -> Any:
    schema: Any = {}
    for _ in range(5000):
        schema = {"items": schema}
    return schema


def _chain() -> Any:
    defs: dict[str, Any] = {"d60": {"type": "object"}}
    for i in range(60):
        following = {"$ref": f"#/$defs/d{i + 1}"}
        defs[f"d{i}"] = {"anyOf": [following, {"not": following}]}
    return {"$ref": "#/$defs/d0", "$defs": defs}


HOSTILE: dict[str, Callable[[], Any]] = {
    "deep": _deep,
    "alternatives": lambda: {"allOf": [{"anyOf": [{"required": [f"a{i}"]}, {"required": ["b"]}]} for i in range(40)]},
    "exponential references": _chain,
    "a million patterns": lambda: {"patternProperties": {f"^{i}$": {} for i in range(1_000_000)}},
    "a huge enum": lambda: {"enum": [f"value {i}" for i in range(300_000)]},
    "a repeated repetition": lambda: {"pattern": "^((a{1000}){1000}){1000}$"},
    "ambiguous pattern": lambda: {"pattern": "^(a|aa)+(b?b?b?){50}(.*a.{30})+$", "minLength": 1000},
    "many members": lambda: {"properties": {f"p{i}": {"type": "string"} for i in range(30_000)}, "minProperties": 200},
    "exponential references to check a name by": lambda: {
        "type": "object", "properties": {"a": {}}, "propertyNames": {"$ref": "#/$defs/d0"},
        "$defs": {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{min(i + 1, 40)}"}] * 2} for i in range(40)} | {"d40": {}},
    },
    "a listed value with many different items": lambda: {"enum": [list(range(20_000))], "uniqueItems": True},
    "many items": lambda: {"prefixItems": [{}] * 30_000},
    "itself": lambda: {"$ref": "#"},
    "exclusive": lambda: {"oneOf": [{"pattern": f"a{i}"} for i in range(200)]},
    "large multiples": lambda: {"type": "integer", "multipleOf": 123456789},
    "long": lambda: {"const": "x" * 2_000_000},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_schemas_cost_a_bounded_time(name: str) -> None:
    schema = HOSTILE[name]()
    began = time.process_time()
    refused = ""
    try:
        grammar = compiled(schema)
    except InvalidParameterError as error:
        refused = str(error)
    else:
        with suppress(GenerationError):  # its automaton outgrew the limit
            walk(grammar, random.Random(1), most=60)
    assert time.process_time() - began < 5
    assert "\n" not in refused
    assert len(refused) < 500


def test_canonical_text_of_strings_is_the_one_spelling() -> None:
    grammar = compiled({"type": "string"})
    for text in ('"\\\b\f\n\r\t', "\x00\x1f\x7f", "é🐲\u2028", ""):
        assert admits(grammar, canonical(text))
    for text in ('"\\u0041"', '"\\/"', '"\\ud800"', '"\n"', '"a'):
        assert not admits(grammar, text)


def test_objects_with_many_members_are_followed() -> None:
    schema = {"properties": {f"m{i}": {"type": "integer"} for i in range(1000)}, "additionalProperties": False}
    assert admits(compiled({"type": "object"} | schema), '{"m7":1,"m999":2}')


def test_patterns_whose_automaton_outgrows_the_limits_are_refused_when_they_are_tried() -> None:
    def tried(patterns: list[str]) -> None:
        written = schema_grammar({"type": "string", "allOf": [{"pattern": one} for one in patterns]})
        grammars().compile(f"start: {written.name}\n{written.rules}", foreign=True)

    tried([f"{letter}{letter}+" for letter in "abcdefghijkl"])
    with pytest.raises(InvalidParameterError, match=r"\('pattern'\) together need an automaton that is too large"):
        tried([f"^(.{{{length}}})*$" for length in (2, 3, 5, 7, 11, 13, 17, 19)])
