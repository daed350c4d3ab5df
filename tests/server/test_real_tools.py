"""Tools and reasoning with the real engine and models that say exactly what a test wants, by the official client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

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
