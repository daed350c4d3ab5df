"""What is exact in the grammar of a reply: strict functions and schemas, and grammars that clients write."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from oxillama.chat.constraints import LONGEST
from oxillama.chat.options import Grammar, JsonSchema, Regex
from oxillama.errors import InvalidParameterError
from tests.chat.test_constraints import CALL, CITY, OTHER, PLAIN, REQUIRED, TIME, WEATHER, admits
from tests.chat.test_exchange import FREE, exchange_of, published

STRICT = replace(WEATHER, strict=True)
GBNF = 'root ::= "{" item ("," item)* "}" # a list\nitem ::= [a-c]+ | "\\"" [^"]* "\\""\n'
LARK = 'start: item ("," item)*\nitem: WORD "!"?\nWORD: /[a-c]+/\nTEXT: /[0-9]+/\n'


@pytest.mark.parametrize("source", [PLAIN, FREE, published("Qwen-Qwen3-0.6B")])
def test_a_strict_function_is_exact_where_it_is_called_and_text_is_free(source: str) -> None:
    asked: dict[str, Any] = {"source": source, "tools": (STRICT, TIME)}
    assert admits("It is 3 < 4, {maybe} warm.\n", **asked)
    assert admits("", **asked)
    assert admits(CALL, **asked)
    assert admits(f"{CALL}\n{OTHER}", **asked)
    assert not admits(CALL.replace('"Rome"', "3"), **asked)
    assert not admits(f"Well: {CALL.replace('city', 'town')}", **asked)


def test_a_strict_function_of_harmony_is_exact_too() -> None:
    source = published("openai-gpt-oss-120b")
    assert exchange_of(source, tools=(STRICT,)).constraint is not None


@pytest.mark.slow
def test_expressions_that_never_compile_together_are_refused_in_time() -> None:
    patterns = [{"pattern": f"a{n}.*b"} for n in range(24)]
    schema: dict[str, Any] = {"type": "string", "allOf": patterns}
    began = time.process_time()
    with pytest.raises(InvalidParameterError) as caught:
        exchange_of(PLAIN, format=JsonSchema(schema=schema, strict=True))
    assert caught.value.param == "response_format"
    assert time.process_time() - began < 5  # what takes long is ended in a child process


def test_functions_that_are_not_strict_leave_the_reply_free() -> None:
    assert exchange_of(PLAIN, tools=(WEATHER, TIME)).constraint is None


def test_a_strict_function_is_exact_in_tags_too() -> None:
    source = published("Qwen3-Coder")
    call = "<tool_call>\n<function=weather>\n<parameter=city>\nRome\n</parameter>\n</function>\n</tool_call>"
    assert admits(call, source, tools=(STRICT,))
    assert not admits(call.replace("city", "town"), source, tools=(STRICT,))


def test_a_strict_schema_that_cannot_be_enforced_is_refused_by_keyword_and_path() -> None:
    tags: dict[str, Any] = {"type": "integer", "not": {"multipleOf": 3}}
    schema: dict[str, Any] = {"type": "object", "properties": {"tags": tags}, "required": ["tags"]}
    for source, where in ((PLAIN, "multipleOf"), (published("Qwen3-Coder"), "multipleOf")):
        with pytest.raises(InvalidParameterError) as caught:
            exchange_of(source, tools=(replace(STRICT, parameters=schema),))
        assert caught.value.param == "tools"
        assert f"function 'weather': '{where}' at '/properties/tags" in str(caught.value)
    with pytest.raises(InvalidParameterError) as caught:
        exchange_of(PLAIN, format=JsonSchema(schema=schema, strict=True))
    assert caught.value.param == "response_format"
    assert "'multipleOf' at '/properties/tags/not' is negated" in str(caught.value)
    tags["pattern"] = "(?=x)"  # says nothing of integers
    tags.pop("not")
    tags["multipleOf"] = 0.123456789
    loose = JsonSchema(schema=schema)
    assert admits('{"tags": 5}', PLAIN, format=loose)
    assert not admits('{"tags": ["a"]}', PLAIN, format=loose)


def test_unique_items_hold_in_answers_and_in_calls() -> None:
    tags = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    schema: dict[str, Any] = {"type": "object", "properties": {"tags": tags}, "required": ["tags"]}
    for strict in (True, False):
        asked = JsonSchema(schema=schema, strict=strict)
        assert admits('{"tags":["a","b"]}', PLAIN, format=asked)
        assert not admits('{"tags":["a","a"]}', PLAIN, format=asked)
    call = '<tool_call>\n<function=weather>\n<parameter=tags>\n["a", "%s"]\n</parameter>\n</function>\n</tool_call>'
    tool = replace(STRICT, parameters=schema)
    assert admits(call % "b", published("Qwen3-Coder"), tools=(tool,))
    assert not admits(call % "a", published("Qwen3-Coder"), tools=(tool,))


def test_a_strict_schema_has_one_spelling_and_others_leave_white_space_to_the_model() -> None:
    assert admits('{"city":"Rome"}', PLAIN, format=JsonSchema(schema=CITY, strict=True))
    assert not admits('{"city": "Rome"}', PLAIN, format=JsonSchema(schema=CITY, strict=True))
    for text in ('{"city":"Rome"}', '{"city": "Rome"}'):
        assert admits(text, PLAIN, format=JsonSchema(schema=CITY))
    assert admits('{\n  "a": [\n    1\n  ]\n}', PLAIN, format=JsonSchema(schema={"type": "object"}))


@pytest.mark.parametrize(
    ("asked", "right", "wrong"),
    [
        (Grammar(GBNF, "gbnf"), '{a,"x y",c}', "{d}"),
        (Grammar(LARK, "lark"), "a,b!,cc", "1"),
        (Regex("(a|b)\n[c/]+"), "a\n//c", "a c"),
        (Regex("a\\\nb\\\\/\\/"), "a\nb\\//", "a\\nb\\//"),
    ],
)
def test_grammars_of_clients_hold_after_the_reasoning(asked: Any, right: str, wrong: str) -> None:
    for source, before in ((PLAIN, ""), (FREE, ""), (FREE, f"<think>{wrong}</think>\n\n")):
        assert admits(before + right, source, format=asked), (source, before)
        assert not admits(before + wrong, source, format=asked), (source, before)


@pytest.mark.parametrize(
    ("asked", "param", "problem"),
    [
        (Grammar("root ::= (", "gbnf"), "grammar", "it is not GBNF"),
        (Grammar("start: (", "lark"), "grammar", "Expected"),
        (Grammar("start: /(a/", "lark"), "grammar", "at 1(8): invalid regular expression: unclosed group."),
        (Grammar("x" * (LONGEST + 1), "lark"), "grammar", "characters long"),
        (
            Grammar("start: r0\n" + "\n".join(f"r{i}: r{i + 1}" for i in range(5000)), "lark"),
            "grammar",
            "too deep, too large",
        ),
        (Regex("(a"), "regex", "Invalid 'regex': at character 1: unclosed group."),
        (Regex("/\n\\/é(a"), "regex", "Invalid 'regex': at character 6: unclosed group."),
        (Regex(r"a\b"), "regex", "Invalid 'regex': lookarounds not supported yet"),
        (Regex("a\\"), "regex", "Invalid 'regex': it ends with a backslash."),
        (Regex("a" * (LONGEST + 1)), "regex", "characters long"),
        (Regex(f"{'(' * 20000}a{')' * 20000}"), "regex", "Invalid 'regex': at character"),
        (JsonSchema(schema={"type": "sting"}), "response_format", "'type' at '/' is 'sting'"),
        (JsonSchema(schema={"$ref": "http://x.y/z"}), "response_format", "'$ref' at '/' refers to"),
        (JsonSchema(schema={"enum": ["x" * 2_000_000]}), "response_format", "is longer than"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_one_line_that_names_the_parameter(asked: Any, param: str, problem: str) -> None:
    calls: dict[str, Any] = {"tools": (WEATHER,), "choice": REQUIRED}
    for more in ({}, calls):  # also where the form has no effect
        with pytest.raises(InvalidParameterError) as caught:
            exchange_of(PLAIN, format=asked, **more)
        assert caught.value.param == param
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)
        assert " | " not in str(caught.value)  # no lines of a grammar


@pytest.mark.parametrize("form", [Grammar(LARK, "lark"), Regex("a+"), JsonSchema(schema={"type": "array"})])
def test_a_form_has_no_effect_where_calls_are_required(form: Any) -> None:
    asked: dict[str, Any] = {"tools": (WEATHER,), "choice": REQUIRED, "format": form}
    assert admits(CALL, PLAIN, **asked)
    for text in ("a", "[]"):
        assert not admits(text, PLAIN, **asked)


def test_what_a_client_wrote_forces_nothing() -> None:
    """A short expression may force a million bytes."""
    follower = exchange_of(PLAIN, format=Regex("((a{1000}){1000}){1000}")).constraint
    assert follower is not None
    assert follower.follow().forced() == ()
