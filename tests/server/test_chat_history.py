"""Messages as clients really send them become a conversation; what is wrong is named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from oxillama import chat
from oxillama.server.apis.chat.messages import Message, conversation
from oxillama.server.wire.errors import APIError

USER = {"role": "user", "content": "Hi"}


def call(call_id: str, name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: Any = "r", **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **fields}


def calling(*calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": list(calls), **fields}


def converted(*messages: dict[str, Any]) -> list[chat.Message]:
    return conversation(msgspec.convert(list(messages), list[Message]))


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_roles_stay_what_they_are(role: str) -> None:
    assert [message.role for message in converted({"role": role, "content": "x"})] == [role]


def test_parts_of_all_kinds_are_read() -> None:
    parts = [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "thinking", "thinking": [{"type": "text", "text": "So"}, {"type": "text", "text": " so."}]},
        {"type": "text", "text": "Yes"},
        {"type": "refusal", "refusal": "or no"},
    ]
    message = converted({"role": "assistant", "content": parts})[0]
    assert (message.reasoning, message.content) == ("Hm.\nSo so.", "Yes\nor no")
    assert converted({"role": "assistant", "content": None, "refusal": "No."})[0].content == "No."


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_may_be_all_that_a_message_has(field: str) -> None:
    message = converted(USER, {"role": "assistant", "content": None, field: "Hm."})[1]
    assert (message.reasoning, message.content) == ("Hm.", "")


@pytest.mark.parametrize("fields", [{}, {"content": None}, {"content": ""}, {"content": []}])
def test_a_message_may_have_nothing_but_calls(fields: dict[str, Any]) -> None:
    found = converted(USER, calling(call("a"), **fields), result("a", name="f"))
    assert found[1].content == ""
    assert found[1].tool_calls == (chat.ToolCall(id="a", name="f", arguments="{}"),)
    assert (found[2].tool_call_id, found[2].name) == ("a", "f")


def test_results_may_come_in_any_order_twice_and_under_one_id() -> None:
    found = converted(USER, calling(call("a"), call("b")), result("b"), result("a"), result("b"))
    assert [message.tool_call_id for message in found[2:]] == ["b", "a", "b"]
    same = converted(USER, calling(call("a", "f"), call("a", "g")), result("a", "1"), result("a", "2"))
    assert [message.content for message in same[2:]] == ["1", "2"]


def test_arguments_may_be_broken_or_an_object() -> None:
    given = [call("a", arguments='{"x": '), call("b", arguments={"x": 1}), call("c", arguments="")]
    found = converted(USER, calling(*given), result("a"), result("b"), result("c"))
    assert [one.arguments for one in found[1].tool_calls] == ['{"x": ', '{"x":1}', ""]


def test_a_function_message_answers_the_latest_call_of_its_kind() -> None:
    one = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    answer = {"role": "function", "name": "f", "content": "r"}
    found = converted(USER, one, answer, one, answer | {"content": None})
    ids = [message.tool_calls[0].id if message.tool_calls else message.tool_call_id for message in found[1:]]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert [message.role for message in found[1:]] == ["assistant", "tool"] * 2


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([USER, {"role": "assistant"}], "messages[1].content"),
        ([USER, {"role": "assistant", "content": None, "tool_calls": []}], "messages[1].content"),
        ([USER, result("a")], "messages.[1].role"),
        ([USER, calling(call("a"), call("b")), result("a"), USER], "messages.[3].role"),
        ([USER, calling(call("a"))], "messages.[1].role"),
    ],
)
def test_a_conversation_that_makes_no_sense_is_refused(messages: list[Any], param: str) -> None:
    with pytest.raises(APIError) as refused:
        converted(*messages)
    assert refused.value.param == param
