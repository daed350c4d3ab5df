"""Chat answers with tool calls and reasoning, whole and streamed, from the scripted engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.chat.constraints import LONGEST
from oxillama.server import ServerConfig, create_app
from tests.support.answers import chat, error_of, events
from tests.support.asgi_client import ASGIClient
from tests.support.fake_engine import FakeChatTemplate, FakeEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME = {"type": "function", "function": {"name": "time"}}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
OTHER = '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'
BOTH = [WEATHER, TIME]


def thinker(reply: str = "") -> FakeEngine:
    """An engine whose template knows reasoning."""
    return FakeEngine(reply=reply, chat_template=FakeChatTemplate(source="<think> </think>"))


@pytest.fixture
def engine() -> FakeEngine:
    return thinker()


async def answer(client: ASGIClient, *, stream: bool = False, **fields: Any) -> dict[str, Any]:
    """The first choice, with `usage` beside it. A stream's deltas are joined as the official client joins them."""
    if not stream:
        response = await chat(client, **fields)
        assert response.status_code == 200, response.text
        body = response.json()
        return dict(body["choices"][0]) | {"usage": body["usage"]}
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, done = events(await chat(client, **fields, **options))
    assert done == "[DONE]"
    return joined(chunks)


def joined(chunks: Sequence[Any]) -> dict[str, Any]:
    message: dict[str, Any] = {}
    logprobs: list[Any] = []
    reason = None
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        assert reason is None, "a chunk after the finish reason"
        reason = choice["finish_reason"]
        logprobs += (choice["logprobs"] or {}).get("content", [])
        for name, value in choice["delta"].items():
            if name == "tool_calls":
                for delta in value:
                    calls = message.setdefault(name, [])
                    assert delta["index"] in (len(calls) - 1, len(calls))
                    if delta["index"] == len(calls):
                        calls.append({"id": delta["id"], "type": delta["type"], "function": dict(delta["function"])})
                    else:
                        assert set(delta) == {"index", "function"}, "what was sent once is sent again"
                        assert set(delta["function"]) == {"arguments"}
                        calls[-1]["function"]["arguments"] += delta["function"]["arguments"]
            elif name == "function_call":
                call = message.setdefault(name, {"name": "", "arguments": ""})
                for key, text in value.items():
                    call[key] += text
            elif isinstance(value, str):
                assert name != "role" or name not in message
                message[name] = (message.get(name) or "") + value
            else:
                message.setdefault(name, value)
    found = {"index": 0, "message": message, "finish_reason": reason, "usage": chunks[-1]["usage"]}
    return found | {"logprobs": {"content": logprobs, "refusal": None} if logprobs else None}


def calls_of(choice: dict[str, Any]) -> list[tuple[str, Any]]:
    calls = choice["message"].get("tool_calls", [])
    assert all(call["type"] == "function" and call["id"].startswith("call_") for call in calls)
    assert len({call["id"] for call in calls}) == len(calls)
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call(client: ASGIClient, engine: FakeEngine, stream: bool) -> None:
    engine.reply = CALL
    choice = await answer(client, stream=stream, tools=BOTH)
    assert calls_of(choice) == [("weather", {"city": "Rome"})]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["usage"]["completion_tokens"] == len(CALL) + 1


@pytest.mark.parametrize("stream", [False, True])
async def test_several_calls_after_text(client: ASGIClient, engine: FakeEngine, stream: bool) -> None:
    engine.reply = f"Let me see.\n{CALL}\n{OTHER}"
    choice = await answer(client, stream=stream, tools=BOTH)
    assert calls_of(choice) == [("weather", {"city": "Rome"}), ("time", {})]
    assert choice["message"]["content"] == "Let me see."


@pytest.mark.parametrize("stream", [False, True])
async def test_only_one_call_if_calls_are_not_parallel(client: ASGIClient, engine: FakeEngine, stream: bool) -> None:
    engine.reply = f"{CALL}\n{OTHER}"
    choice = await answer(client, stream=stream, tools=BOTH, parallel_tool_calls=False)
    assert calls_of(choice) == [("weather", {"city": "Rome"})]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["usage"]["completion_tokens"] <= len(CALL)
    assert engine.open == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_functions_get_a_function_call(client: ASGIClient, engine: FakeEngine, stream: bool) -> None:
    engine.reply = f"{CALL}\n{OTHER}"
    choice = await answer(client, stream=stream, functions=[WEATHER["function"], TIME["function"]])
    call = choice["message"]["function_call"]
    assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Rome"})
    assert choice["finish_reason"] == "function_call"
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_is_cut_off_ends_with_length(client: ASGIClient, engine: FakeEngine, stream: bool) -> None:
    engine.reply = CALL
    choice = await answer(client, stream=stream, tools=BOTH, max_tokens=CALL.index("Ro") + 2)
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["arguments"] == '{"city": "Ro'
    assert choice["finish_reason"] == "length"


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_are_content_where_there_are_no_tools(client: ASGIClient, engine: FakeEngine, stream: bool) -> None:
    engine.reply = f"So: {CALL}"
    choice = await answer(client, stream=stream)
    assert choice["message"]["content"] == engine.reply
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_is_not_allowed_is_no_call(client: ASGIClient, engine: FakeEngine, stream: bool) -> None:
    engine.reply = f"So: {OTHER}"
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("weather")]}}
    choice = await answer(client, stream=stream, tools=BOTH, tool_choice=allowed)
    assert choice["message"]["content"] == engine.reply
    assert choice["finish_reason"] == "stop"


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize("stream", [False, True])
async def test_stop_strings_do_not_cut_arguments(client: ASGIClient, engine: FakeEngine, stream: bool) -> None:
    engine.reply = f"{CALL} Rome."
    choice = await answer(client, stream=stream, tools=BOTH, stop=["Rome"])
    assert calls_of(choice) == [("weather", {"city": "Rome"})]
    assert choice["message"]["content"] is None


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_is_told_apart_under_both_names(client: ASGIClient, engine: FakeEngine, stream: bool) -> None:
    engine.reply = "<think>\nWhy not.\n</think>\n\nYes."
    choice = await answer(client, stream=stream)
    message = choice["message"]
    assert (message["reasoning_content"], message["reasoning"]) == ("Why not.", "Why not.")
    assert message["content"] == "Yes."
    assert choice["usage"]["completion_tokens_details"]["reasoning_tokens"] in range(9, 30)


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_may_stay_in_the_content_or_be_left_out(
    client: ASGIClient, engine: FakeEngine, stream: bool
) -> None:
    engine.reply = "<think>\nWhy not.\n</think>\n\nYes."
    whole = await answer(client, stream=stream, reasoning_format="none")
    assert whole["message"]["content"] == engine.reply
    bare = await answer(client, stream=stream, include_reasoning=False)
    for choice in (whole, bare):
        assert "reasoning" not in choice["message"]
        assert choice["usage"]["completion_tokens_details"]["reasoning_tokens"] > 9
    assert bare["message"]["content"] == "Yes."


@pytest.mark.parametrize("name", ["reasoning_budget", "max_reasoning_tokens"])
async def test_a_budget_closes_the_reasoning(client: ASGIClient, engine: FakeEngine, name: str) -> None:
    engine.reply = "<think>" + "x" * 100
    fields: dict[str, Any] = {name: 20}
    choice = await answer(client, max_tokens=80, **fields)
    message = choice["message"]
    assert message["reasoning"].startswith("x" * 10)
    assert "enough" in message["reasoning"]
    assert message["content"].startswith("xxx")
    assert choice["usage"]["completion_tokens_details"]["reasoning_tokens"] < 80


async def test_logprobs_are_those_of_the_contents_tokens(client: ASGIClient, engine: FakeEngine) -> None:
    engine.reply = f"<think>no</think>Yes. {CALL}"
    whole = await answer(client, tools=BOTH, logprobs=True)
    streamed = await answer(client, tools=BOTH, logprobs=True, stream=True)
    assert "".join(token["token"] for token in whole["logprobs"]["content"]).strip() == "Yes."
    assert streamed["logprobs"] == whole["logprobs"]


async def test_each_choice_has_its_own_calls(client: ASGIClient, engine: FakeEngine) -> None:
    engine.reply = lambda request: {7: CALL, 8: OTHER}.get(request.sampling.seed or 0, "No.")
    body = (await chat(client, tools=BOTH, n=3, seed=7)).json()
    assert [calls_of(choice) for choice in body["choices"]] == [[("weather", {"city": "Rome"})], [("time", {})], []]
    assert [choice["finish_reason"] for choice in body["choices"]] == ["tool_calls", "tool_calls", "stop"]
    ids = [call["id"] for choice in body["choices"] for call in choice["message"].get("tool_calls", [])]
    assert len(set(ids)) == 2


async def test_the_first_delta_has_no_content_where_calls_may_come(client: ASGIClient, engine: FakeEngine) -> None:
    first = events(await chat(client, stream=True, tools=BOTH))[0]["choices"][0]["delta"]
    assert first == {"role": "assistant", "content": None, "refusal": None}
    first = events(await chat(client, stream=True, tools=BOTH, tool_choice="none"))[0]["choices"][0]["delta"]
    assert first == {"role": "assistant", "content": "", "refusal": None}


REFUSED = [
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type", "invalid_value"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name", "invalid_value"),
    ({"tools": [WEATHER] * 129}, "tools", "array_above_max_length"),
    ({"tools": [WEATHER, WEATHER]}, "tools", "invalid_value"),
    ({"tools": [WEATHER], "functions": [TIME["function"]]}, "functions", "invalid_value"),
    ({"tools": [WEATHER], "tool_choice": named("time")}, "tool_choice", "invalid_value"),
    ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
    ({"tools": [WEATHER], "tool_choice": "any"}, "tool_choice", "invalid_value"),
    ({"tools": [WEATHER], "tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice.type", None),
    ({"functions": [TIME["function"]], "function_call": {"name": "x"}}, "function_call", "invalid_value"),
    ({"reasoning_budget": -2}, "reasoning_budget", "integer_below_min_value"),
    ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value"),
    ({"regex": "a", "guided_choice": ["a"]}, "guided_choice", "invalid_value"),
    ({"guided_choice": []}, "guided_choice", "empty_array"),
    ({"grammar": "a" * (LONGEST + 1)}, "grammar", "string_above_max_length"),
    ({"regex": "a" * (LONGEST + 1)}, "regex", "string_above_max_length"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
    ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools", "invalid_value"),
]


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED, ids=[f"{p}-{n}" for n, (_, p, _) in enumerate(REFUSED)])
async def test_what_makes_no_sense_is_refused(
    client: ASGIClient, engine: FakeEngine, fields: dict[str, Any], param: str, code: str | None
) -> None:
    response = await chat(client, **fields)
    assert response.status_code == 400
    error = error_of(response)
    assert error["param"] == param
    assert code in (None, error["code"])
    assert not engine.requests


WRONG = {"type": "object", "properties": {"a": {"type": "objekt"}}}


async def test_a_schema_that_cannot_be_honoured_is_named_as_clients_know_it(client: ASGIClient) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "plan", "schema": WRONG}}
    error = error_of(await chat(client, response_format=form))
    assert error["message"].startswith("Invalid schema for response_format 'plan': 'type' at '/properties/a'")
    assert (error["param"], error["code"]) == ("response_format", "invalid_json_schema")
    tool = {"type": "function", "function": {"name": "go", "parameters": WRONG}}
    error = error_of(await chat(client, tools=[tool], tool_choice="required"))
    assert error["message"].startswith("Invalid schema for function 'go': 'type' at '/properties/a'")
    assert (error["param"], error["code"]) == ("tools", "invalid_function_parameters")


@pytest.mark.parametrize(("kind", "shown"), [("string", '"string"'), (["array", "null"], '["array", "null"]')])
async def test_parameters_that_are_no_object_are_refused(
    client: ASGIClient, engine: FakeEngine, kind: Any, shown: str
) -> None:
    function = {"name": "f", "parameters": {"type": kind}}
    tool = {"type": "function", "function": function}
    error = error_of(await chat(client, tools=[WEATHER, tool], tool_choice="required"))
    assert error["message"] == (
        "Invalid schema for function 'f': schema must be a JSON Schema of 'type: \"object\"', "
        f"got 'type: {shown}'."
    )
    assert (error["param"], error["code"]) == ("tools[1].function.parameters", "invalid_function_parameters")
    error = error_of(await chat(client, functions=[function]))
    assert (error["param"], error["code"]) == ("functions[0].parameters", "invalid_function_parameters")
    assert not engine.requests


@pytest.mark.parametrize("schema", [{}, {"properties": {}}, {"type": ["object", "null"]}])
async def test_parameters_may_be_an_object_among_others(client: ASGIClient, schema: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert (await chat(client, tools=[tool])).status_code == 200


SCRIPTED = thinker()
SERVER = create_app(ServerConfig(log_level="error"), engine=SCRIPTED)
PIECES = [
    "Hi ", "<think>", "</think>", "\n", "é", "\U0001f600",
    CALL, OTHER, "<tool_call>", "</tool_call>", "{", "stop",
]


@settings(max_examples=50, deadline=None)
@given(
    reply=st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join),
    limit=st.one_of(st.none(), st.integers(1, 120)),
    parallel=st.booleans(),
    stop=st.sampled_from([[], ["stop"], ["i <", "é"]]),
)
def test_streamed_deltas_sum_to_the_whole_answer(
    reply: str, limit: int | None, parallel: bool, stop: list[str]
) -> None:
    async def both() -> None:
        SCRIPTED.reply, client = reply, ASGIClient(SERVER)
        fields: dict[str, Any] = {"tools": BOTH, "parallel_tool_calls": parallel, "stop": stop, "logprobs": True}
        fields["max_tokens"] = limit
        whole = await answer(client, **fields)
        streamed = await answer(client, stream=True, **fields)
        assert streamed["finish_reason"] == whole["finish_reason"]
        assert streamed["usage"] == whole["usage"]
        assert (streamed["logprobs"] or {"content": []})["content"] == whole["logprobs"]["content"]
        if whole["finish_reason"] == "tool_calls":
            assert calls_of(whole) == calls_of(streamed) != []
        assert whole["message"].pop("annotations") == []
        for message in (whole["message"], streamed["message"]):
            message["content"] = message["content"] or None
            for call in message.get("tool_calls", []):
                del call["id"]
        assert streamed["message"] == whole["message"]

    trio.run(both)
