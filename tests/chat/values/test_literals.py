"""Literals of Python and JSON as models mix them."""

from __future__ import annotations

import ast
import json
from contextlib import suppress
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.chat.values.literals import LiteralError, Literals

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


@settings(max_examples=40)
@given(VALUES)
def test_what_python_writes_is_read(value: Any) -> None:
    assert json.loads(Literals(repr(value)).whole()) == json.loads(json.dumps(value).encode("utf-8", "replace"))


@settings(max_examples=40)
@given(VALUES)
def test_json_stays_as_it_is(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert json.loads(Literals(text).whole()) == value


@settings(max_examples=40)
@given(st.text(alphabet="[]{}()'\"\\,:=abTrue01._-+ \nx", max_size=40))
def test_any_text_is_a_literal_or_an_error(text: str) -> None:
    with suppress(LiteralError):
        json.loads(Literals(text).whole())


@settings(max_examples=40)
@given(st.text(max_size=30))
def test_strings_mean_what_they_mean_in_python(text: str) -> None:
    for written in (repr(text), ascii(text), f'"{text}"', f"'''{text}'''"):
        try:
            meant = ast.literal_eval(written)
        except (SyntaxError, ValueError, UnicodeEncodeError):
            continue
        if isinstance(meant, str) and "\\" not in text and "\r" not in text and "\0" not in text:
            assert json.loads(Literals(written).whole()) == meant


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", 7),
        ("1_000_000", 1000000),
        ("-0x1F", -31),
        ("0b101", 5),
        (".5", 0.5),
        ("5.", 5.0),
        ("+3", 3),
        ("- 5", -5),
        ("1e5", 1e5),
        ("(1, 'a')", [1, "a"]),
        ("(1)", 1),
        ("(1,)", [1]),
        ("()", []),
        ("{1, 2}", [1, 2]),
        ("{}", {}),
        ("[true, True, null, None]", [True, True, None, None]),
        ("{1: 2, 'a': 3,}", {"1": 2, "a": 3}),
        ("'a' \"b\"", "ab"),
        (r"r'a\n'", "a\\n"),
        (
            r"'\x41\u0042\U00000043\101\d\/\
'",
            r"ABCA\d/",
        ),
        ('"""a "quoted" b"""', 'a "quoted" b'),
        (r"'\ud83d\ude00 \ud800'", "😀 \ufffd"),
        ("b'x'", "x"),
    ],
)
def test_the_liberties_that_models_take(text: str, value: Any) -> None:
    assert json.loads(Literals(text).whole()) == value


@pytest.mark.parametrize("text", ["", "nope", "'open", "[1", "1.2.3", "1a", "a.b", "{'a' 1}", "[1 2]", "{,}", "--1"])
def test_what_is_no_literal(text: str) -> None:
    with pytest.raises(LiteralError):
        Literals(text).whole()


def test_numbers_are_not_rounded() -> None:
    assert Literals("[12345678901234567890123, 'x', 1e400]").whole() == '[12345678901234567890123, "x", 1e400]'


def test_names_of_arguments_may_be_reserved_or_odd() -> None:
    text = "from='x', class=[1], a.b = None, x-y=2, "
    assert Literals(text + ")").arguments(0) == ('{"from": "x", "class": [1], "a.b": null, "x-y": 2}', len(text) + 1)


def test_arguments_that_were_cut_off_are_kept_as_far_as_they_are_whole() -> None:
    literals = Literals("a=1, b='x', c=[1, ")
    with pytest.raises(LiteralError):
        literals.arguments(0)
    assert literals.arguments_so_far == '{"a": 1, "b": "x"'


def test_words_without_quotes_are_strings_where_they_are_allowed() -> None:
    text = '{k:<q>v,"x<q>,n:2, o:{a b:true,"c":[x y,z]}}'
    value = Literals(text, quote="<q>", bare=True).whole()
    assert json.loads(value) == {"k": 'v,"x', "n": 2, "o": {"a b": True, "c": ["x y", "z"]}}


@pytest.mark.parametrize("text", ["[" * 100_000, "{'a':" * 50_000, "(" * 100_000 + ")" * 100_000])
def test_nesting_is_bounded(text: str) -> None:
    with pytest.raises(LiteralError):
        Literals(text).whole()


@pytest.mark.parametrize(
    "text", ["'" + "a\\n" * 100_000, "'''" + "a''" * 100_000, "[" + "'a'," * 30_000, "'' " * 30_000]
)
def test_the_time_is_linear(text: str) -> None:
    def cost(part: str) -> float:
        start = perf_counter()
        with suppress(LiteralError):
            Literals(part).whole()
        return perf_counter() - start

    assert min(cost(text) for _ in range(3)) < 2.0
