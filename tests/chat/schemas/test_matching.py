"""Whether patterns are found in texts, and that no pattern and no text makes that take long."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from oxillama.chat.schemas import SchemaError, schema_grammar
from oxillama.chat.schemas.matching import found_in
from oxillama.chat.schemas.pattern import PatternError, quoted_pattern

PATTERNS = ["", "^$", "a", "^a|b$", "^(a|b)+$", r"^[^/\\]*$", '"', r"^\S+\s\W\D$", "^.{1,3}$", "é", "^(^a|b)c$", r"\n$"]
TEXTS = ["", "a", "b", "ab", "ba", 'a"b', "\\", "a/b", "ab c1", "x  -y", "é", "bc", "ac", "a\n", "\n", "🐲", "\x00"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_found_where_python_finds_it(pattern: str) -> None:
    in_python = re.compile(pattern.replace("$", r"\Z"))
    assert [text for text in TEXTS if found_in(pattern, text)] == [text for text in TEXTS if in_python.search(text)]


def test_half_a_surrogate_pair_is_found_by_no_pattern_for_it() -> None:
    assert not found_in("^.$", "\ud800")


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", r"\bword\b", "(", "[a", r"\p{Nonsense}"])
def test_a_pattern_without_an_expression_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        found_in(pattern, "a")


HOSTILE: dict[str, Callable[[], Any]] = {
    "a name that a pattern nearly matches": lambda: {
        "patternProperties": {"^(a+)+$": {}},
        "properties": {"a" * 5000 + "!": {}},
    },
    "a value that a pattern nearly matches": lambda: {"pattern": "^(a|a)*$", "enum": ["a" * 5000 + "!", "a"]},
    "a large automaton": lambda: {"pattern": "^(.*a.{30})+$", "enum": ["ab" * 50_000]},
    "anchors in many groups": lambda: {"pattern": "(|^)" * 1000},
    "anchors in some groups": lambda: {"pattern": "(|^|$)" * 19},
    "long classes": lambda: {"pattern": r"\p{L}" * 800},
    "unknown classes": lambda: {"properties": {f"p{i}": {"pattern": rf"\p{{Z{i}}}"} for i in range(2000)}},
    "many names and patterns": lambda: many(1000) | {"required": [f"n{i}" for i in range(1000)]},
    "many names and patterns of a value": lambda: many(1000) | {"enum": [{f"z{i}": "" for i in range(1000)}]},
    "many patterns of values": lambda: {
        "properties": {f"n{i}": {"pattern": f"^z{i}$"} for i in range(1000)},
        "enum": [{f"n{i}": f"z{i}" for i in range(1000)}] * 50,
    },
}


def many(n: int) -> dict[str, Any]:
    return {
        "properties": {f"n{i}": {} for i in range(n)},
        "patternProperties": {f"^z{i}$": {} for i in range(n)},
        "additionalProperties": False,
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_patterns_cost_a_bounded_time(name: str) -> None:
    began = time.process_time()
    for lenient in (False, True):
        with suppress(SchemaError):
            schema_grammar(HOSTILE[name](), lenient=lenient)
    assert time.process_time() - began < 5


def test_an_expression_is_bounded_because_it_is_kept() -> None:
    with pytest.raises(PatternError, match="too long"):
        quoted_pattern(r"\p{L}" * 800)


def test_values_that_cannot_be_checked_are_refused_or_left_out() -> None:
    schema = {"enum": ["a", "b"], "pattern": "(?=a)"}
    with pytest.raises(SchemaError, match="'pattern' at '/' has a lookaround"):
        schema_grammar(schema)
    assert schema_grammar(schema, lenient=True).left_out == (("pattern", ""),)
