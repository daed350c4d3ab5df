"""What the grammars of JSON shapes and of the harmony format admit is read as calls whose arguments fit the schemas."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.chat.formats.families import harmony
from oxillama.chat.formats.families import json as rows
from oxillama.chat.formats.wire import Family
from oxillama.chat.tools import Tool
from tests.support.admitted import admitted, number_of_walks
from tests.support.replies import single_tokens

FAMILIES = [*rows.FAMILIES, *harmony.FAMILIES]
IDS = [family.name for family in FAMILIES]
SCHEMAS: dict[str, dict[str, Any]] = {
    "get_weather": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 8},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "kind": {"enum": ["a b", "</tool_call>", None]},
            "list": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
    "now": {"type": "object", "properties": {}, "additionalProperties": False},
}
TOOLS = [Tool(name=name, parameters=schema) for name, schema in SCHEMAS.items()]


def check(family: Family, special: bool, number: int, seed: int) -> int:
    """Walk through the grammar, and return how many texts were read."""
    markers = [text for text in single_tokens(family.texts()) if text[0] in "<["] if special else []
    count = 0
    for text, found in admitted(family, markers, TOOLS, number, seed):
        count += 1
        assert all(arguments.encode() in text for _, arguments in found.calls)
    return count


@pytest.mark.parametrize("special", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_what_the_grammar_admits_is_read_and_fits(family: Family, special: bool) -> None:
    assert check(family, special, 2, seed=1) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("special", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_much_that_the_grammar_admits_is_read_and_fits(family: Family, special: bool) -> None:
    number = number_of_walks(family, FAMILIES) if special else 100
    assert check(family, special, number, seed=2) >= number * (0.9 if special else 0.5)


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_one_call_where_several_are_not_wanted(family: Family) -> None:
    found = admitted(family, single_tokens(family.texts()), TOOLS[1:], 2, seed=3, parallel=False)
    assert {tuple(read.calls) for _, read in found} == {(("now", "{}"),)}
