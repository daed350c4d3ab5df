"""A client that sends the model's turns back as they came finds all of them in the prefix cache.

The model writes what its template would not: no spaces in the arguments, more white space around calls, and tokens that
the tokenizer would not cut the text into.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.engine import Engine
from tests.server.test_client import client_of
from tests.support.live_server import live_server
from tests.support.scripted_model import scripted_model

TEMPLATE = """\
{%- for tool in tools or [] %}{{ tool | tojson }}<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>
{% endfor %}
{%- for m in messages %}<|im_start|>{{ m.role }}
{{ '~' if m.role == 'assistant' }}{{ m.content }}
{%- for c in m.tool_calls or [] %}<tool_call>
{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}<|im_start|>assistant
~"""
FIRST = '  <tool_call>{"name":"weather","arguments":{"city":"Rome","days":2}}</tool_call>\n'
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
ASKED: list[Any] = [{"role": "user", "content": "How warm is it in Rome?"}]


@asynccontextmanager
async def serving(folder: Path, **settings: Any) -> AsyncIterator[AsyncOpenAI]:
    path = scripted_model(
        folder / "m.gguf",
        {"~": FIRST},
        control=("<|im_start|>", "<|im_end|>"),
        user_defined=("<tool_call>", "</tool_call>"),
        end="<|im_end|>",
        vocab="bpe",
        chat_template=TEMPLATE,
        n_ctx=1024,
    )
    config = EngineConfig(n_threads=1, n_ctx=1024, parallel=2, model_name="fake-model")
    async with Engine.open(path, config) as engine, live_server(engine, **settings) as live, client_of(live) as client:
        yield client


async def asked(client: AsyncOpenAI, messages: list[Any], **fields: Any) -> Any:
    return await client.chat.completions.create(model="fake-model", messages=messages, tools=TOOLS, **fields)


def turn(answer: Any, result: str) -> list[Any]:
    """The answer as it came, and the result of its call."""
    message = answer.choices[0].message.model_dump(exclude_none=True)
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"city": "Rome", "days": 2}
    return [message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": result}]


def figures(answer: Any) -> tuple[int, int, int]:
    """Tokens of the prompt, those of them that were cached, and tokens of the reply."""
    usage = answer.usage
    return usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens


async def test_a_loop_of_calls_computes_only_what_is_new(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        messages = list(ASKED)
        before = 0
        for result in ("warm", "second", "third"):
            answer = await asked(client, messages)
            n_prompt, cached, n_reply = figures(answer)
            assert cached >= before  # all that was there: the last prompt and its reply
            assert n_prompt - cached < 80 or not before
            before = n_prompt + n_reply - 1  # the token that ends the reply is not computed
            messages += turn(answer, result)


async def test_streams_and_several_choices_are_kept_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        async with client.chat.completions.stream(
            model="fake-model", messages=ASKED, tools=TOOLS, n=2, stream_options={"include_usage": True}
        ) as stream:
            first: Any = await stream.get_final_completion()
        n_prompt, _, n_reply = figures(first)
        for choice in first.choices:
            call = choice.message.tool_calls[0]
            function = {"name": call.function.name, "arguments": call.function.arguments}
            calls = [{"id": call.id, "type": "function", "function": function}]
            message = {"role": "assistant", "content": None, "tool_calls": calls}
            result = {"role": "tool", "tool_call_id": call.id, "content": "warm"}
            assert figures(await asked(client, [*ASKED, message, result]))[1] >= n_prompt + n_reply // 2 - 1


def other_arguments(message: Any) -> None:
    message["tool_calls"][0]["function"]["arguments"] = '{"city":"Ro me","days":2}'


def other_text(message: Any) -> None:
    message["content"] = "Let me see."


def other_name(message: Any) -> None:
    message["tool_calls"][0]["function"]["name"] = "weath er"


@pytest.mark.parametrize("change", [other_arguments, other_text, other_name])
async def test_a_turn_that_was_changed_is_not_replayed(tmp_path: Path, change: Any) -> None:
    async with serving(tmp_path) as client:
        answer = await asked(client, ASKED)
        n_prompt = figures(answer)[0]
        message, result = turn(answer, "warm")
        change(message)
        n_next, cached, _ = figures(await asked(client, [*ASKED, message, result]))
        assert n_prompt - 1 <= cached <= n_prompt + 1
        assert n_next > n_prompt


async def test_another_conversation_has_its_own_tokens(tmp_path: Path) -> None:
    """The same turn after another question, and the same text with tags that the user wrote."""
    async with serving(tmp_path) as client:
        answer = await asked(client, ASKED)
        message, result = turn(answer, "warm")
        other = [{"role": "user", "content": "How warm is it in Roma?"}]
        plain = figures(await asked(client, [*other, message, result]))[0]
        replayed = figures(await asked(client, [*ASKED, message, result]))[0]
        assert plain != replayed


async def test_a_request_that_wants_nothing_cached_is_cut_into_the_tokenizers_tokens(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        alone: Any = {"extra_body": {"cache_prompt": False}}
        after = [*ASKED, *turn(await asked(client, ASKED, **alone), "warm")]
        unknown = figures(await asked(client, after))[0]  # its answer was not kept
        after = [*ASKED, *turn(await asked(client, ASKED), "warm")]
        assert figures(await asked(client, after, **alone))[:2] == (unknown, 0)
        assert figures(await asked(client, after))[0] < unknown


async def test_a_turn_is_replayed_only_to_its_own_client_if_keys_are_isolated(tmp_path: Path) -> None:
    keys = ("key-one", "key-two")
    async with serving(tmp_path, api_keys=keys, isolate_keys=True) as client:
        headers = [{"Authorization": f"Bearer {key}"} for key in keys]
        answer = await asked(client, ASKED, extra_headers=headers[0])
        after = [*ASKED, *turn(answer, "warm")]
        own, others = [figures(await asked(client, after, extra_headers=header))[0] for header in headers]
        assert own < others  # the model's tokens are longer than those of the tokenizer, which knows single bytes
