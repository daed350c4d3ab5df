"""What the grammars of JSON shapes and of the harmony format admit is read as calls whose arguments fit the schemas."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from oxillama.chat.formats.families import harmony
from oxillama.chat.formats.families import json as rows
from oxillama.chat.formats.harmony import MARKERS
from oxillama.chat.formats.wire import Family, WireFormat
from oxillama.chat.tools import Tool
from tests.support.replies import read_tokens, single_tokens
from tests.support.walks import ByteVocabulary, Walks

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
    markers = MARKERS if family.shape.name == "harmony" else single_tokens(family.texts())
    vocabulary = ByteVocabulary([text for text in markers if text[0] in "<["] if special else ())
    wire = WireFormat(family, vocabulary)
    count = 0
    for ids in Walks(vocabulary, f"start: calls\n{wire.grammar(TOOLS)}").walks(number, seed):
        count += 1
        found = read_tokens(wire.parser(TOOLS), [(token, vocabulary.token_bytes(token)) for token in ids])
        text = b"".join(vocabulary.tokens[token] for token in ids)
        assert found.content == found.reasoning == "", text
        assert found.calls, text
        assert all(found.complete), text
        for name, arguments in found.calls:
            problems = [*jsonschema.Draft202012Validator(SCHEMAS[name]).iter_errors(json.loads(arguments))]
            assert not problems, (text, arguments, problems)
            assert arguments.encode() in text
    return count


@pytest.mark.parametrize("special", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_what_the_grammar_admits_is_read_and_fits(family: Family, special: bool) -> None:
    assert check(family, special, 2, seed=1) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("special", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_much_that_the_grammar_admits_is_read_and_fits(family: Family, special: bool) -> None:
    assert check(family, special, 1000 if special else 100, seed=2) >= (900 if special else 50)


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_one_call_where_several_are_not_wanted(family: Family) -> None:
    vocabulary = ByteVocabulary(MARKERS if family.shape.name == "harmony" else single_tokens(family.texts()))
    wire = WireFormat(family, vocabulary)
    for ids in Walks(vocabulary, f"start: calls\n{wire.grammar(TOOLS[1:], parallel=False)}").walks(2, seed=3):
        tokens = [(token, vocabulary.token_bytes(token)) for token in ids]
        assert read_tokens(wire.parser(TOOLS), tokens).values == [("now", {})]
