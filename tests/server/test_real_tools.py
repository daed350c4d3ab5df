"""Tools and reasoning with the real engine and models that say exactly what a test wants, by the official client."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
import trio
from openai import AsyncOpenAI
from pydantic import BaseModel

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.engine import Engine
from tests.server.test_chat_tools import BOTH
from tests.server.test_client import HELLO, client_of
from tests.support.live_server import live_server
from tests.support.scripted_model import scripted_model

TOOLS: Any = BOTH
TEMPLATE = """\
{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}
{%- for m in messages %}<|im_start|>{{ m.role }}
{{ ':' if m.role == 'assistant' }}{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>
{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% else %}{{ '=' if messages[-1].role == 'tool' else ':' }}{% endif %}"""
"""The prompt ends in ":", after a result in "=", without thinking in a newline. Models answer each in another way."""

MARKS = ("<tool_call>", "</tool_call>", "<think>", "</think>")


@asynccontextmanager
async def serving(folder: Path, script: dict[str, Any], **settings: Any) -> AsyncIterator[tuple[AsyncOpenAI, Engine]]:
    path = scripted_model(
        folder / "m.gguf",
        script,
        control=("<|im_start|>", "<|im_end|>"),
        user_defined=MARKS,
        end="<|im_end|>",
        vocab="bpe",
        chat_template=TEMPLATE,
        n_ctx=1024,
    )
    config = EngineConfig(n_threads=1, n_ctx=1024, parallel=2, model_name="fake-model")
    async with Engine.open(path, config) as engine, live_server(engine) as live, client_of(live) as client:
        yield client, engine


def ask(client: AsyncOpenAI, **fields: Any) -> Any:
    return client.chat.completions.create(**({"model": "fake-model", "messages": HELLO} | fields))


CALLING = {":": '<think>\nHm, so.\n</think>\n\n<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n'
                '</tool_call>', "=": "It is warm."}  # fmt: skip


async def test_a_loop_of_calls_and_results(tmp_path: Path) -> None:
    async with serving(tmp_path, CALLING) as (client, _):
        first = await ask(client, tools=TOOLS)
        message = first.choices[0].message
        (call,) = message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Rome"})
        assert (message.content, message.reasoning_content) == (None, "Hm, so.")
        assert first.choices[0].finish_reason == "tool_calls"
        assert first.usage.completion_tokens_details.reasoning_tokens > 3
        result = {"role": "tool", "tool_call_id": call.id, "content": "warm"}
        last = await ask(client, tools=TOOLS, messages=[*HELLO, message.model_dump(), result])
        assert last.choices[0].message.content == "It is warm."
        assert last.choices[0].finish_reason == "stop"
        # The second prompt begins with the first one and the reply, whose tokens are in the cache.
        assert last.usage.prompt_tokens_details.cached_tokens > first.usage.prompt_tokens


async def test_a_stream_says_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path, CALLING) as (client, _):
        async with client.chat.completions.stream(
            model="fake-model", messages=HELLO, tools=TOOLS, stream_options={"include_usage": True}
        ) as stream:
            final: Any = await stream.get_final_completion()
        whole = await ask(client, tools=TOOLS)
        final.choices[0].message.tool_calls[0].id = whole.choices[0].message.tool_calls[0].id
        for answer in (final, whole):
            assert answer.choices[0].message.tool_calls[0].function.arguments == '{"city": "Rome"}'
        assert final.usage.completion_tokens == whole.usage.completion_tokens
        assert final.choices[0].message.reasoning == whole.choices[0].message.reasoning == "Hm, so."


async def test_a_budget_closes_the_reasoning_and_the_model_goes_on(tmp_path: Path) -> None:
    script = {":": ("<think>", "ab", "cd", "ab"), "</think>": "Yes, then."}
    async with serving(tmp_path, script) as (client, engine):
        answer = await ask(client, extra_body={"reasoning_budget": 9})
        message = answer.choices[0].message
        assert message.reasoning_content.startswith("abcdabcd")
        assert message.reasoning_content.endswith("I have enough; answering now.")
        assert message.content == "Yes, then."
        assert answer.choices[0].finish_reason == "stop"
        assert engine.statistics().forced_tokens_total > 10
        steps = engine.statistics().steps_total
        assert steps < answer.usage.completion_tokens  # what was forced took one step


async def test_thinking_is_switched_off_in_every_way(tmp_path: Path) -> None:
    script = {":": ("<think>", "ab", "cd", "ab"), "\n": "Yes."}
    switches: list[dict[str, Any]] = [
        {"reasoning_effort": "none"},
        {"extra_body": {"enable_thinking": False}},
        {"extra_body": {"reasoning_budget": 0}},
        {"extra_body": {"chat_template_kwargs": {"thinking": False}}},
    ]
    async with serving(tmp_path, script) as (client, _):
        for fields in switches:
            answer = await ask(client, max_tokens=20, **fields)
            assert answer.usage.completion_tokens_details.reasoning_tokens == 0, fields


SAYS_MORE = {"\n": "I would rather talk about something else."}
CALM: Any = {"enable_thinking": False}  # a model that says what it must would think for ever
COUNT: Any = {
    "type": "function",
    "function": {
        "name": "count",
        "parameters": {
            "type": "object",
            "properties": {"to": {"type": "integer", "enum": [3, 4]}, "slow": {"type": "boolean"}},
            "required": ["to", "slow"],
            "additionalProperties": False,
        },
    },
}
NAMED: Any = {"type": "function", "function": {"name": "count"}}


@pytest.mark.parametrize("choice", ["required", NAMED])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_required_call_is_made_whatever_the_model_would_say(tmp_path: Path, choice: Any, stream: bool) -> None:
    async with serving(tmp_path, SAYS_MORE) as (client, engine):
        tools = [COUNT, *TOOLS] if choice == NAMED else [COUNT]
        fields: dict[str, Any] = {"tools": tools, "tool_choice": choice, "temperature": 0, "extra_body": CALM}
        if stream:
            async with client.chat.completions.stream(model="fake-model", messages=HELLO, **fields) as events:
                answer: Any = await events.get_final_completion()
        else:
            answer = await ask(client, **fields)
        message = answer.choices[0].message
        assert message.content is None
        assert answer.choices[0].finish_reason == "tool_calls"
        assert {call.function.name for call in message.tool_calls} == {"count"}
        for call in message.tool_calls:
            arguments = json.loads(call.function.arguments)
            assert arguments["to"] in (3, 4)
            assert isinstance(arguments["slow"], bool)
        assert engine.statistics().forced_tokens_total > 20  # jumped over


class Step(BaseModel):
    """A step of a plan."""

    number: Literal[1, 2]
    done: bool


class Plan(BaseModel):
    """A plan."""

    first: Step
    other: Step | None
    kind: Literal["short", "long"]


async def test_an_answer_is_parsed_into_the_clients_own_type(tmp_path: Path) -> None:
    async with serving(tmp_path, SAYS_MORE) as (client, _):
        answer = await client.chat.completions.parse(
            model="fake-model", messages=HELLO, response_format=Plan, temperature=0, extra_body=CALM
        )
        assert isinstance(answer.choices[0].message.parsed, Plan)
        assert answer.choices[0].finish_reason == "stop"
        with pytest.raises(openai.LengthFinishReasonError):
            await client.chat.completions.parse(
                model="fake-model", messages=HELLO, response_format=Plan, max_tokens=5, extra_body=CALM
            )


ON = {"properties": {"on": {"type": "boolean"}}, "required": ["on"], "additionalProperties": False}
SWITCH = {"name": "s", "schema": {"type": "object"} | ON}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": SWITCH}}, r"\{\"on\": (true|false)\}"),
        ({"extra_body": {"regex": "[0-4]{3}/x"}}, "[0-4]{3}/x"),
        ({"extra_body": {"guided_choice": ["maybe", "so"]}}, "maybe|so"),
    ],
)
async def test_answers_have_the_form_that_was_asked_for(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    async with serving(tmp_path, SAYS_MORE) as (client, _):
        body = CALM | fields.pop("extra_body", {})
        answer = await ask(client, temperature=0, max_tokens=50, extra_body=body, **fields)
        assert re.fullmatch(expected, answer.choices[0].message.content, re.DOTALL)


async def test_several_constrained_choices_and_free_ones_run_together(tmp_path: Path) -> None:
    async with serving(tmp_path, SAYS_MORE) as (client, _):
        answers: list[Any] = []

        async def one(**fields: Any) -> None:
            answers.append(await ask(client, **fields))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: one(n=3, tools=[COUNT], tool_choice="required", extra_body=CALM))
            nursery.start_soon(lambda: one(n=2, extra_body=CALM))
        texts = {c.message.content for answer in answers for c in answer.choices}
        assert texts == {None, SAYS_MORE["\n"]}


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({"regex": "[0-9]{3}-[a-c]"}, r"[0-9]{3}-[a-c]"),
        ({"guided_choice": ["north", "south"]}, "north|south"),
        ({"grammar": 'root ::= "x" [yz] "x"'}, "x[yz]x"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": [7]}}}}, "7"),
    ],
)
async def test_a_plain_completion_has_the_form_too(tmp_path: Path, fields: dict[str, Any], form: str) -> None:
    async with serving(tmp_path, SAYS_MORE) as (client, _):
        asked: Any = {"model": "fake-model", "prompt": "Once\n", "temperature": 0, "extra_body": fields}
        answer = await client.completions.create(**asked)
        assert re.fullmatch(form, answer.choices[0].text)
        streamed = await client.completions.create(**asked, stream=True)
        assert "".join([chunk.choices[0].text async for chunk in streamed]) == answer.choices[0].text


async def test_a_wrong_form_of_a_plain_completion_is_named(tmp_path: Path) -> None:
    async with serving(tmp_path, SAYS_MORE) as (client, _):
        for fields, param in (({"regex": "["}, "regex"), ({"regex": "a", "guided_choice": ["b"]}, "guided_choice")):
            with pytest.raises(openai.BadRequestError) as caught:
                await client.completions.create(model="fake-model", prompt="Once", extra_body=fields)
            assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"guided_choice": ["yes", "no"], "banned_strings": ["yes", "no"]}, "banned_strings"),
        ({"regex": "[yn]", "logit_bias": {"y": False, "n": False}}, "logit_bias"),
    ],
)
async def test_bans_that_leave_nothing_of_the_form_are_named(tmp_path: Path, fields: Any, param: str) -> None:
    async with serving(tmp_path, SAYS_MORE) as (client, _):
        with pytest.raises(openai.BadRequestError) as caught:
            await ask(client, extra_body=CALM | fields)
        assert caught.value.param == param
