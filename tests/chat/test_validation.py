"""Validation of whole replies against schemas that are not strict."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.chat import validation
from oxillama.chat.conversation import ToolCall
from oxillama.chat.options import ChatOptions, JsonSchema
from oxillama.chat.reply.message import Reply
from oxillama.chat.schemas import values
from oxillama.chat.schemas.document import Document
from oxillama.chat.tools import Tool, ToolChoice
from oxillama.chat.validation import validator

LIST: dict[str, Any] = {"type": "array", "uniqueItems": True}
CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def found(reply: Reply, *, tried: bool = False, **options: Any) -> str | None:
    check = validator(ChatOptions(**options), tried=tried)
    assert check is not None
    return check(reply)


def calling(arguments: str, name: str = "weather") -> Reply:
    return Reply(tool_calls=(ToolCall(id="1", name=name, arguments=arguments),), finish_reason="tool_calls")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1, 2]", None),
        ("[1, 1.0]", "response_format"),
        ("[1, ", "response_format"),
        ("[" * 100_000, "response_format"),
    ],
)
def test_an_answer_is_held_against_its_schema(text: str, expected: str | None) -> None:
    assert found(Reply(content=text), format=JsonSchema(schema=LIST)) == expected


def test_what_a_limit_cut_off_is_not_judged() -> None:
    assert found(Reply(content="[1", finish_reason="length"), format=JsonSchema(schema=LIST)) is None


def test_calls_are_held_against_their_functions() -> None:
    tools = (Tool(name="weather", parameters=CITY), Tool(name="time"))
    assert found(calling('{"city": "Rome"}'), tools=tools) is None
    assert found(calling('{"city": 3}'), tools=tools) == "tools"
    assert found(calling("{}", "time"), tools=tools) is None
    assert found(calling("{}"), tools=tools, format=JsonSchema(schema=LIST)) == "tools"


def test_the_calls_of_a_reply_share_what_their_schema_may_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(Document):
        def __init__(self, schema: Any) -> None:
            made.append(schema)
            super().__init__(schema)

    monkeypatch.setattr(validation, "Document", Counted)
    monkeypatch.setattr(values, "MOST_CHECKS", 6)
    calls = tuple(ToolCall(id=str(i), name="weather", arguments='{"city": "Rome"}') for i in range(5))
    wrong = ToolCall(id="5", name="weather", arguments="{}")
    tools = (Tool(name="weather", parameters=CITY),)
    assert found(Reply(tool_calls=(*calls[:2], wrong), finish_reason="tool_calls"), tools=tools) == "tools"
    assert found(Reply(tool_calls=(*calls, wrong), finish_reason="tool_calls"), tools=tools) is None
    assert made == [CITY, CITY]


def test_patterns_that_were_never_tried_are_passed_over() -> None:
    schema = CITY | {"properties": {"city": {"type": "string", "pattern": "^R"}}}
    tools = (Tool(name="weather", parameters=schema), Tool(name="time", parameters=CITY))
    assert found(calling('{"city": "Oslo"}'), tools=tools) is None
    assert found(calling('{"city": "Oslo"}'), tools=tools, tried=True) == "tools"


@pytest.mark.parametrize("schema", [{"properties": 5}, {"$ref": "#"}, {"$ref": "x:y"}, {"required": 3}, {"items": [1]}])
def test_schemas_that_mean_nothing_are_met(schema: Any) -> None:
    tool = Tool(name="weather", parameters={"type": "object"} | schema)
    assert found(calling('{"city": [1]}'), tools=(tool,)) is None


def test_nothing_is_checked_that_is_strict_or_has_no_schema() -> None:
    strict = Tool(name="weather", parameters=CITY, strict=True)
    for options in (
        ChatOptions(),
        ChatOptions(format=JsonSchema(schema=LIST, strict=True), tools=(strict, Tool(name="time"))),
        ChatOptions(tools=(Tool(name="weather", parameters=CITY),), choice=ToolChoice(mode="none")),
    ):
        assert validator(options, tried=False) is None
