"""Tools, structured output and reasoning through the official client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

from tests.server.test_chat_tools import BOTH, CALL, OTHER, TIME, WEATHER, thinker
from tests.server.test_client import HELLO, MODEL, client_of
from tests.support.fake_engine import FakeEngine
from tests.support.live_server import live_server

if TYPE_CHECKING:
    from oxillama.engine.api.types import GenerationRequest

TOOLS: Any = BOTH
THOUGHT = "<think>\nIs it warm?\n</think>\n\n"


async def test_a_plain_call_and_its_stream_say_the_same() -> None:
    engine = thinker(f"{THOUGHT}Let me see.\n{CALL}\n{OTHER}")
    async with live_server(engine) as live, client_of(live) as client:
        plain = await client.chat.completions.create(model=MODEL, messages=HELLO, tools=TOOLS)
        async with client.chat.completions.stream(
            model=MODEL, messages=HELLO, tools=TOOLS, stream_options={"include_usage": True}
        ) as stream:
            kinds = {event.type async for event in stream}
            final = await stream.get_final_completion()
    for answer in (plain, final):
        message = answer.choices[0].message
        assert message.content == "Let me see."
        assert message.role == "assistant"
        assert message.tool_calls is not None
        assert [(call.type, call.function.name) for call in message.tool_calls if call.type == "function"] == [
            ("function", "weather"), ("function", "time"),
        ]  # fmt: skip
        assert answer.choices[0].finish_reason == "tool_calls"
        assert message.model_extra is not None
        assert message.model_extra["reasoning_content"] == "Is it warm?"
    assert final.usage == plain.usage
    assert {"tool_calls.function.arguments.delta", "tool_calls.function.arguments.done", "content.delta"} <= kinds


async def test_calls_alone_have_no_content() -> None:
    async with (
        live_server(FakeEngine(reply=CALL)) as live,
        client_of(live) as client,
        client.chat.completions.stream(model=MODEL, messages=HELLO, tools=TOOLS) as stream,
    ):
        final = await stream.get_final_completion()
    assert final.choices[0].message.content is None


def reply_by_results(request: GenerationRequest) -> str:
    """Call each of two tools once, then answer with what they gave."""
    prompt = bytes(token - 3 for token in request.prompt_ids if token > 2).decode()
    if "18 degrees" in prompt and "noon" in prompt:
        return "It is 18 degrees at noon."
    return OTHER if "18 degrees" in prompt else CALL


async def test_a_loop_with_tools_ends_with_an_answer() -> None:
    messages = list(HELLO)
    tools = {"weather": lambda city: f"18 degrees in {city}", "time": lambda: "noon"}
    called = []
    async with live_server(FakeEngine(reply=reply_by_results)) as live, client_of(live) as client:
        for _ in range(5):
            answer = await client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
            message = answer.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            if answer.choices[0].finish_reason != "tool_calls":
                break
            for call in message.tool_calls or ():
                assert call.type == "function"
                called.append(call.function.name)
                result: Any = tools[call.function.name](**json.loads(call.function.arguments))  # type: ignore[operator]
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert called == ["weather", "time"]
    assert messages[-1]["content"] == "It is 18 degrees at noon."


class Weather(BaseModel):
    """The weather of a city."""

    city: str


async def test_the_clients_own_tools_are_parsed() -> None:
    tool = openai.pydantic_function_tool(Weather, name="weather")
    async with live_server(FakeEngine(reply=CALL)) as live, client_of(live) as client:
        answer = await client.chat.completions.parse(model=MODEL, messages=HELLO, tools=[tool])
    assert answer.choices[0].message.tool_calls is not None
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.parsed_arguments == Weather(city="Rome")


async def test_a_call_that_is_cut_off_is_reported_as_such() -> None:
    tool = openai.pydantic_function_tool(Weather, name="weather")
    async with live_server(FakeEngine(reply=CALL)) as live, client_of(live) as client:
        with pytest.raises(openai.LengthFinishReasonError):
            await client.chat.completions.parse(model=MODEL, messages=HELLO, tools=[tool], max_tokens=50)


async def test_the_older_form_of_calls() -> None:
    functions: Any = [WEATHER["function"], TIME["function"]]
    async with live_server(FakeEngine(reply=CALL)) as live, client_of(live) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=HELLO, functions=functions)
    assert answer.choices[0].finish_reason == "function_call"
    assert answer.choices[0].message.function_call is not None
    assert answer.choices[0].message.function_call.name == "weather"
