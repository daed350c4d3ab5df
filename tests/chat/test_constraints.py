"""The grammar of a reply, run over texts: what it admits, and that reasoning is never constrained."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.chat.conversation import ToolCall
from oxillama.chat.formats import format_of
from oxillama.chat.options import JsonSchema, OneOf, Regex, Thinking
from oxillama.chat.tools import Tool, ToolChoice
from tests.chat.test_exchange import FREE, THINKS, exchange_of, published
from tests.support.fake_engine import EOS, FakeTokenizer
from tests.support.templates import chat_template

CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CITY["additionalProperties"] = False
WEATHER, TIME = Tool(name="weather", parameters=CITY), Tool(name="time")
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
OTHER = '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'
PLAIN = "{{ messages[0].content }}A:"
REQUIRED = ToolChoice(mode="required")


def admits(text: str, source: str, **options: Any) -> bool:
    """Whether the reply's grammar admits the whole text."""
    constraint = exchange_of(source, **options).constraint
    assert constraint is not None
    follower = constraint.follow()
    for token in FakeTokenizer().encode(text, False):
        follower.fill()
        if not int(follower.mask[token // 32]) >> (token % 32) & 1 or follower.refuses(token):
            return False
        follower.accept(token)
    if follower.ended:
        return True
    follower.fill()
    return bool(int(follower.mask[EOS // 32]) >> (EOS % 32) & 1)


def test_a_free_reply_has_no_grammar() -> None:
    assert exchange_of(PLAIN, tools=(WEATHER,)).constraint is None
    assert exchange_of(PLAIN, tools=(WEATHER,), choice=ToolChoice(mode="none")).constraint is None


def test_required_is_at_least_one_call() -> None:
    asked: dict[str, Any] = {"source": PLAIN, "tools": (WEATHER, TIME), "choice": REQUIRED}
    assert admits(CALL, **asked)
    assert admits(f"{CALL}\n{OTHER}", **asked)
    assert not admits("", **asked)
    assert not admits("Let me see.", **asked)
    assert not admits(CALL.replace("Rome", "Rome\n"), **asked)
    assert not admits(CALL.replace('"city"', '"town"'), **asked)
    assert not admits(f"{CALL}\n{OTHER}", **asked, parallel=False)


def test_a_named_function_is_the_only_one() -> None:
    asked: dict[str, Any] = {"tools": (WEATHER, TIME), "choice": ToolChoice(mode="required", names=frozenset({"time"}))}
    assert admits(OTHER, PLAIN, **asked)
    assert not admits(CALL, PLAIN, **asked)


@pytest.mark.parametrize(
    ("asked", "right", "wrong"),
    [
        (JsonSchema(schema=CITY), '{"city": "Rome"}', '{"city": 1}'),
        (JsonSchema(schema={"type": "object"}), '{"a": [1, null]}', "[1]"),
        (Regex("[a-c]+/x"), "abc/x", "abd/x"),
        (OneOf(("yes", 'no "never"')), 'no "never"', "maybe"),
    ],
)
def test_the_form_of_the_answer_holds_after_the_reasoning_alone(asked: Any, right: str, wrong: str) -> None:
    thought = f"{wrong}{{</think>\n\n"
    for source, before in ((PLAIN, ""), (FREE, ""), (FREE, f"<think>{thought}"), (THINKS, thought)):
        assert admits(before + right, source, format=asked), (source, before)
        assert not admits(before + wrong, source, format=asked), (source, before)
    assert not admits(right, THINKS, format=asked)
    assert admits(right, THINKS, format=asked, thinking=Thinking(enabled=False))


def test_an_answer_of_a_form_may_be_calls_instead() -> None:
    asked: dict[str, Any] = {"tools": (WEATHER,), "format": JsonSchema(schema=CITY)}
    assert admits(CALL, PLAIN, **asked)
    assert admits('{"city": "Rome"}', PLAIN, **asked)
    assert not admits("It is warm.", PLAIN, **asked)


def test_the_form_holds_in_the_final_message_of_harmony() -> None:
    asked: dict[str, Any] = {"source": published("openai-gpt-oss-120b"), "format": JsonSchema(schema=CITY)}
    final = '<|channel|>final<|message|>{"city": "Rome"}'
    assert admits(final, **asked)
    assert admits(f"<|channel|>analysis<|message|>Hm {{<|end|><|start|>assistant{final}", **asked)
    assert not admits(final.replace("Rome\"", "Rome"), **asked)
    assert not admits('{"city": "Rome"}', **asked)


@pytest.mark.parametrize("name", ["Qwen-Qwen3-0.6B", "Qwen3-Coder", "GLM-4.6", "LFM2-8B-A1B", "google-gemma-4-31B-it"])
def test_required_calls_are_read_as_calls(name: str) -> None:
    """What the family writes itself is admitted, and parsed back."""
    source = published(name)
    call = ToolCall(id="c", name="weather", arguments='{"city": "Rome"}')
    written = format_of(chat_template(source), None).write([call])
    off = Thinking(enabled=False)
    assert admits(written.text, source, tools=(WEATHER, TIME), choice=REQUIRED, thinking=off)
