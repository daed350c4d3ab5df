"""What the grammars of tags and literals admit is read as calls whose arguments fit the schemas."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from oxillama.chat.formats.families import literal, tagged
from oxillama.chat.formats.wire import Family, WireFormat
from oxillama.chat.schemas import SchemaError
from oxillama.chat.tools import Tool
from tests.support.admitted import admitted, number_of_walks
from tests.support.walks import ByteVocabulary

FAMILIES = [*tagged.FAMILIES, *literal.FAMILIES]
IDS = [family.name for family in FAMILIES]

SCHEMAS: dict[str, dict[str, Any]] = {
    "strings": {
        "type": "object",
        "properties": {
            "any": {"type": "string"},
            "pattern": {"type": "string", "pattern": "^[a-c]{2,4}$"},
            "found": {"type": "string", "pattern": "[0-9]x?"},
            "length": {"type": "string", "minLength": 2, "maxLength": 5, "format": "hostname"},
            "kind": {"type": "string", "enum": ["a b", "c\nd", "5", "true"]},
            "const": {"const": "z"},
            "maybe": {"type": ["string", "null"]},
            "short": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
            "named": {"$ref": "#/$defs/named"},
        },
        "required": ["any", "named"],
        "additionalProperties": False,
        "$defs": {"named": {"type": "string", "enum": ["red", "green"]}},
    },
    "others": {
        "type": "object",
        "properties": {
            "integer": {"type": "integer", "minimum": 3, "maximum": 500},
            "number": {"type": "number"},
            "boolean": {"type": "boolean"},
            "null": {"type": "null"},
            "mixed": {"enum": ["a", 3, None, True]},
            "list": {"type": "array", "items": {"$ref": "#/$defs/item"}, "maxItems": 3},
            "record": {
                "type": "object",
                "properties": {"flag": {"type": "boolean"}, "text": {"type": "string"}},
                "required": ["flag"],
                "additionalProperties": False,
            },
            "either": {"oneOf": [{"type": "integer"}, {"type": "array", "items": {"type": "boolean"}}]},
            "free": {},
        },
        "required": ["integer"],
        "additionalProperties": False,
        "$defs": {"item": {"type": "string", "enum": ["red", "green"]}},
    },
    "nothing": {"type": "object", "properties": {}, "additionalProperties": False},
    "anything": {"type": "object"},
}
TOOLS = [Tool(name=name, parameters=schema) for name, schema in SCHEMAS.items()]


def check(family: Family, special: bool, number: int, seed: int) -> int:
    """Walk through the grammar, and return how many texts were read."""
    return sum(1 for _ in admitted(family, family.texts() if special else (), TOOLS, number, seed))


@pytest.mark.parametrize("special", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_what_the_grammar_admits_is_read_and_fits(family: Family, special: bool) -> None:
    assert check(family, special, 4, seed=1) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("special", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_much_that_the_grammar_admits_is_read_and_fits(family: Family, special: bool) -> None:
    number = number_of_walks(family, FAMILIES) if special else 100
    assert check(family, special, number, seed=2) >= number * (0.5 if special else 0.05)


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_all_of_these_schemas_is_enforced(family: Family) -> None:
    assert [found for tool in TOOLS for found in family.shape.unenforced(tool)] == []


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "string", "pattern": r"^(?=a)b"}, ("/properties/x", "pattern")),
        ({"type": "string", "not": {"const": "a"}}, ("/properties/x", "not")),
        ({"type": "string", "maxLength": 10**6}, ("/properties/x", "maxLength")),
    ],
)
@pytest.mark.parametrize("family", [family for family in FAMILIES if family.shape.name != "P"], ids=lambda f: f.name)
def test_what_is_not_enforced_is_said(family: Family, schema: dict[str, Any], wanted: tuple[str, str]) -> None:
    tool = Tool(name="f", parameters={"type": "object", "properties": {"x": schema}})
    assert wanted in family.shape.unenforced(tool)


def test_types_that_bare_text_cannot_tell_apart_are_not_enforced_further() -> None:
    shape = tagged.QWEN_CODER
    mixed = {"type": ["string", "integer"], "minimum": 3}
    tool = Tool(name="f", parameters={"type": "object", "properties": {"x": mixed}, "minProperties": 1})
    assert shape.unenforced(tool) == [("/properties/x", "minimum"), ("", "minProperties")]
    listed = Tool(name="f", parameters={"type": "object", "properties": {"x": {"enum": ["5", 6]}}})
    assert shape.unenforced(listed) == [("/properties/x", "enum")]


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_a_member_that_is_required_twice_is_written_once(family: Family) -> None:
    def grammar(*required: str) -> str:
        schema = {"type": "object", "properties": {"y": {"type": "string"}}, "required": required}
        return WireFormat(family, None).grammar([Tool(name="f", parameters=schema)])

    assert grammar("x", "y", "x") == grammar("x", "y")


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_a_schema_that_grows_without_bound_when_it_is_written_out_is_not(family: Family) -> None:
    defs: dict[str, Any] = {"d0": {"type": "string", "maxLength": 3}}
    for at in range(1, 40):  # 2^40 ways through
        defs[f"d{at}"] = {"anyOf": [{"$ref": f"#/$defs/d{at - 1}"}, {"$ref": f"#/$defs/d{at - 1}"}, {"type": "null"}]}
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/d39"}}, "$defs": defs}
    format_ = WireFormat(family, ByteVocabulary(()))
    with suppress(SchemaError):
        assert len(format_.grammar([Tool(name="f", parameters=schema)])) < 1 << 20


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
@pytest.mark.parametrize("inside", ["items", "properties", "anyOf"])
def test_a_schema_that_is_nested_too_deep_is_an_error(family: Family, inside: str) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(900):
        schema = {inside: {"items": schema, "properties": {"y": schema}, "anyOf": [schema]}[inside]}
    tool = Tool(name="f", parameters={"type": "object", "properties": {"x": schema}})
    with pytest.raises(SchemaError):
        WireFormat(family, ByteVocabulary(())).grammar([tool])


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_one_call_where_several_are_not_wanted(family: Family) -> None:
    tools = [Tool(name="nothing", parameters=SCHEMAS["nothing"])]
    found = admitted(family, family.texts(), tools, 3, seed=3, parallel=False)
    assert {tuple(read.calls) for _, read in found} == {(("nothing", "{}"),)}
