"""Bare text as JSON, by what the schema allows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.chat.values.kinds import ALL_KINDS
from oxillama.chat.values.tagged import json_of, tagged_value

KINDS = st.none() | st.frozensets(st.sampled_from(sorted(ALL_KINDS)), min_size=1)
TEXTS = st.text() | st.sampled_from(["1", "1.0", "true", "None", "{}", "[1,]", "{'a': 1}", "nan", "inf", "-0", "1e400"])


@pytest.mark.parametrize(
    ("text", "kinds", "json_text"),
    [
        ("5", {"integer"}, "5"),
        (" 5\n", {"integer"}, "5"),
        ("5.0", {"integer"}, "5"),
        ("5.5", {"integer"}, '"5.5"'),
        ("5", {"string"}, '"5"'),
        ("5", {"string", "integer"}, "5"),
        ("5", {"string", "null"}, '"5"'),
        ("5", {"number"}, "5"),
        ("1e400", {"number"}, "1e400"),
        ("12345678901234567890", {"integer"}, "12345678901234567890"),
        ("9" * 5000, {"integer"}, "9" * 5000),
        ("05", {"integer"}, '"05"'),
        ("inf", {"number"}, '"inf"'),
        ("nan", {"number"}, '"nan"'),
        ("null", {"null", "string"}, "null"),
        ("None", {"null", "string"}, "null"),
        ("null", {"string"}, '"null"'),
        ("True", {"boolean"}, "true"),
        ("false", {"boolean", "string"}, "false"),
        ("yes", {"boolean"}, '"yes"'),
        ('{"a": [1e400, {}]}', {"object"}, '{"a": [1e400, {}]}'),
        ("{'a': None}", {"object"}, '{"a": null}'),
        ("[1, 2,]", {"array"}, "[1, 2]"),
        ("[1, 2", {"array"}, '"[1, 2"'),
        ("[1]", {"object"}, '"[1]"'),
        ("{1, 2}", {"array", "object"}, "[1, 2]"),
        ("[1] x", {"array"}, '"[1] x"'),
        ("", {"integer"}, '""'),
        ("", {"string"}, '""'),
        ('say "hi"\n', {"string"}, '"say \\"hi\\"\\n"'),
        ("5", None, '"5"'),
        ("true", None, '"true"'),
        ('{"a": 1}', None, '{"a": 1}'),
        ("[" * 5000, None, json.dumps("[" * 5000)),
    ],
)
def test_the_text_of_a_tag(text: str, kinds: set[str] | None, json_text: str) -> None:
    assert tagged_value(text, None if kinds is None else frozenset(kinds)) == json_text


@settings(max_examples=40)
@given(TEXTS, KINDS)
def test_any_text_becomes_json(text: str, kinds: frozenset[str] | None) -> None:
    value = json.loads(tagged_value(text, kinds))
    if kinds == frozenset(("string",)):
        assert value == text


@settings(max_examples=40)
@given(TEXTS)
def test_text_that_says_it_is_json(text: str) -> None:
    json.loads(json_of(text))


@settings(max_examples=40)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=8))
def test_json_that_says_what_it_is(value: Any) -> None:
    assert json.loads(json_of(json.dumps(value))) == value
