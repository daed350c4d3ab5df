"""The official client's helpers for runs with tools, against a server on a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.server.test_assistants_client import with_client
from tests.support.tool_runs import TIME, WEATHER, ToolEngine, call

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROME = call("weather", city="Rome")


def answered(run: Any, *texts: str) -> list[dict[str, str]]:
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": one.id, "output": text} for one, text in zip(calls, texts, strict=True)]


async def test_polling_helpers_go_through_several_rounds(tmp_path: Path) -> None:
    def use(beta: Any) -> None:
        assistant = beta.assistants.create(model="fake-model", tools=[WEATHER, TIME])
        thread = beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
        run = beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        assert run.status == "requires_action"
        assert run.required_action.submit_tool_outputs.tool_calls[0].function.name == "weather"
        with pytest.raises(openai.BadRequestError, match="Expected tool outputs for call_ids"):
            beta.threads.runs.submit_tool_outputs(run.id, thread_id=thread.id, tool_outputs=[])
        run = beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread.id, tool_outputs=answered(run, "21")
        )
        assert run.status == "requires_action"
        run = beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread.id, tool_outputs=answered(run, "noon", "22")
        )
        assert (run.status, run.required_action) == ("completed", None)
        newest = beta.threads.messages.list(thread.id, run_id=run.id).data[0]
        assert newest.content[0].text.value == "Results: 21, noon, 22"
        steps = list(beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc"))
        outputs = [[one.function.output for one in step.step_details.tool_calls] for step in steps[:2]]
        assert outputs == [["21"], ["noon", "22"]]

    await with_client(tmp_path, ToolEngine(ROME, f"{call('time')}\n{ROME}"), use)


async def test_the_stream_helper_tells_calls_and_goes_on_with_their_outputs(tmp_path: Path) -> None:
    told: list[Any] = []

    class Handler(openai.AssistantEventHandler):
        def on_tool_call_created(self, tool_call: Any) -> None:
            told.append(("created", tool_call.function.name))

        def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
            told.append(("delta", delta.function.arguments))

        def on_tool_call_done(self, tool_call: Any) -> None:
            told.append(("done", tool_call.function.name, tool_call.function.arguments, tool_call.id))

    def use(beta: Any) -> None:
        assistant = beta.assistants.create(model="fake-model", tools=[WEATHER, TIME])
        thread = beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
        with beta.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id, event_handler=Handler()
        ) as stream:
            stream.until_done()
            run = stream.get_final_run()
            (step,) = stream.get_final_run_steps()
        assert run.status == "requires_action"
        first, second = run.required_action.submit_tool_outputs.tool_calls
        assert [one.id for one in step.step_details.tool_calls] == [first.id, second.id]
        kinds = [one[0] for one in told]
        assert kinds.count("created") == kinds.count("done") == 2
        pieces = [one[1] for one in told[: kinds.index("done")] if one[0] == "delta"]
        assert len(pieces) > 5
        assert "".join(pieces) == first.function.arguments == '{"city": "Rome"}'
        assert [one[1:] for one in told if one[0] == "done"] == [
            (one.function.name, one.function.arguments, one.id) for one in (first, second)
        ]
        with beta.threads.runs.submit_tool_outputs_stream(
            run_id=run.id, thread_id=thread.id, tool_outputs=answered(run, "21", "noon")
        ) as stream:
            text = "".join(stream.text_deltas)
            ended = stream.get_final_run()
        assert (text, ended.status) == ("Results: 21, noon", "completed")
        assert ended.usage.total_tokens > run.usage.total_tokens > 0

    await with_client(tmp_path, ToolEngine(f"{ROME}\n{call('time')}"), use)


async def test_text_before_a_call_is_a_message_of_its_own(tmp_path: Path) -> None:
    def use(beta: Any) -> None:
        assistant = beta.assistants.create(model="fake-model", tools=[WEATHER])
        with beta.threads.create_and_run_stream(
            assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hello"}]}
        ) as stream:
            names = [event.event for event in stream]
            messages = stream.get_final_messages()
            run = stream.get_final_run()
        assert [message.content[0].text.value for message in messages] == ["Let me see."]
        assert names[-1] == "thread.run.requires_action"
        assert names.index("thread.message.completed") < names.index("thread.run.step.delta")
        ended = beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=run.thread_id, tool_outputs=answered(run, "21")
        )
        texts = [one.content[0].text.value for one in beta.threads.messages.list(run.thread_id, order="asc")]
        assert (ended.status, texts) == ("completed", ["Hello", "Let me see.", "Results: 21"])

    await with_client(tmp_path, ToolEngine(f"Let me see.\n{ROME}"), use)


async def test_a_run_that_waits_is_cancelled(tmp_path: Path) -> None:
    def use(beta: Any) -> None:
        assistant = beta.assistants.create(model="fake-model", tools=[WEATHER])
        run = beta.threads.create_and_run_poll(assistant_id=assistant.id, thread={"messages": []})
        assert run.status == "requires_action"
        beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
        assert beta.threads.runs.poll(run.id, thread_id=run.thread_id).status == "cancelled"
        (step,) = beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)
        assert step.status == "cancelled"
        with pytest.raises(openai.BadRequestError, match='Runs in status "cancelled" do not accept tool outputs'):
            beta.threads.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=answered(run, "x"))

    await with_client(tmp_path, ToolEngine(ROME), use)
