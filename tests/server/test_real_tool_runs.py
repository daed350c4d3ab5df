"""Runs with tools with the real engine and a model that calls a function and then answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.server.test_real_tools import CALLING, TOOLS, serving

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


async def answer(client: Any, run: Any) -> Any:
    calls = run.required_action.submit_tool_outputs.tool_calls
    return await client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=run.thread_id,
        tool_outputs=[{"tool_call_id": one.id, "output": "warm"} for one in calls],
    )


async def test_a_run_goes_on_where_its_prompt_is_computed_already(tmp_path: Path) -> None:
    async with serving(tmp_path, CALLING) as (client, _):
        assistant = await client.beta.assistants.create(model="fake-model", tools=TOOLS)
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Is it warm in Rome?"}])
        run = await client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        (call,) = run.required_action.submit_tool_outputs.tool_calls
        assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Rome"}')
        ended = await answer(client, run)
        assert ended.status == "completed"
        newest = (await client.beta.threads.messages.list(thread.id)).data[0]
        assert newest.content[0].text.value == "It is warm."
        steps = (await client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc")).data
        called, said = (step.usage for step in steps)
        # What the model thought and called is part of the second prompt, by the tokens that it wrote.
        assert said.prompt_tokens_details["cached_tokens"] > called.prompt_tokens
        assert ended.usage.total_tokens == called.total_tokens + said.total_tokens


async def test_a_run_without_tools_begins_with_the_pages_of_the_one_before(tmp_path: Path) -> None:
    async with serving(tmp_path, {":": "Yes.", "=": "x"}) as (client, _):
        assistant = await client.beta.assistants.create(model="fake-model", instructions="Be brief. " * 20)
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Is it warm in Rome?"}])
        usages = []
        for _ in range(2):
            run = await client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
            assert run.status == "completed"
            usages.append(run.usage)
            await client.beta.threads.messages.create(thread.id, role="user", content="And in Oslo?")
        assert usages[1].prompt_tokens_details["cached_tokens"] >= usages[0].prompt_tokens
