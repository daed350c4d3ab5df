"""Runs over HTTP: the objects, the order of the events, the refusals, and every kind of end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.assistants.records import Assistant
from oxillama.storage.ids import new_id
from tests.support.assistants_api import Api, api_over
from tests.support.fake_engine import FakeEngine
from tests.support.stores import open_store, rows

if TYPE_CHECKING:
    from pathlib import Path

RUN_KEYS = {
    "id", "object", "created_at", "thread_id", "assistant_id", "status", "started_at", "expires_at", "cancelled_at",
    "failed_at", "completed_at", "required_action", "last_error", "incomplete_details", "model", "instructions",
    "tools", "metadata", "usage", "temperature", "top_p", "max_prompt_tokens", "max_completion_tokens",
    "truncation_strategy", "tool_choice", "parallel_tool_calls", "response_format",
}  # fmt: skip
MESSAGE_KEYS = {
    "id", "object", "created_at", "thread_id", "role", "content", "status", "incomplete_details", "completed_at",
    "incomplete_at", "assistant_id", "run_id", "attachments", "metadata",
}  # fmt: skip
STEP_KEYS = {
    "id", "object", "created_at", "run_id", "assistant_id", "thread_id", "type", "status", "step_details", "last_error",
    "expires_at", "expired_at", "cancelled_at", "failed_at", "completed_at", "metadata", "usage",
}  # fmt: skip


async def ended(api: Api, thread: str, run: str) -> Any:
    """Wait for the run's end, and return it."""
    with trio.fail_after(20):
        while True:
            found = await api.get(f"/threads/{thread}/runs/{run}")
            if found["status"] not in ("queued", "in_progress", "cancelling"):
                return found
            await trio.sleep(0.02)


async def test_a_run_completes_and_its_answer_is_the_newest_message(tmp_path: Path) -> None:
    async with api_over(tmp_path, FakeEngine(reply="Hi there")) as api:
        assistant = await api.assistant(instructions="Be kind.", temperature=0.5)
        thread = await api.thread("Hello")
        run = await api.post(f"/threads/{thread}/runs", {"assistant_id": assistant, "metadata": {"k": "v"}})
        assert run["status"] == "queued"
        assert run["expires_at"] == run["created_at"] + 600
        run = await ended(api, thread, run["id"])
        assert (run["status"], run["expires_at"], run["instructions"]) == ("completed", None, "Be kind.")
        assert (run["temperature"], run["metadata"], run["tool_choice"]) == (0.5, {"k": "v"}, "auto")
        assert run["truncation_strategy"] == {"type": "auto", "last_messages": None}
        messages = await api.get(f"/threads/{thread}/messages")
        answer = messages["data"][0]
        assert answer["content"] == [{"type": "text", "text": {"value": "Hi there", "annotations": []}}]
        assert (answer["run_id"], answer["assistant_id"]) == (run["id"], assistant)
        (step,) = (await api.get(f"/threads/{thread}/runs/{run['id']}/steps"))["data"]
        assert step == await api.get(f"/threads/{thread}/runs/{run['id']}/steps/{step['id']}")
        details = {"type": "message_creation", "message_creation": {"message_id": answer["id"]}}
        assert (step["status"], step["step_details"], step["usage"]) == ("completed", details, run["usage"])
        assert run["usage"]["total_tokens"] == run["usage"]["prompt_tokens"] + run["usage"]["completion_tokens"]


async def test_every_object_has_all_its_keys_at_all_times(tmp_path: Path) -> None:
    async with api_over(tmp_path, FakeEngine(reply="x")) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        events = await api.events(f"/threads/{thread}/runs", {"assistant_id": assistant, "stream": True})
        for name, data in events:
            if name.startswith("thread.run.step.") and "delta" not in name:
                assert set(data) == STEP_KEYS
            elif name.startswith("thread.run."):
                assert set(data) - {"reasoning_effort"} == RUN_KEYS
            elif name.startswith("thread.message.") and "delta" not in name:
                assert set(data) == MESSAGE_KEYS


MISSING = "missing_required_parameter"
FUNCTION = {"type": "function", "function": {"name": "f"}}

PLAIN = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.delta",
]


async def test_a_stream_has_the_events_of_a_plain_answer_in_order(tmp_path: Path) -> None:
    async with api_over(tmp_path, FakeEngine(reply="abc")) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        events = await api.events(f"/threads/{thread}/runs", {"assistant_id": assistant, "stream": True})
        assert [name for name, _ in events] == [
            *PLAIN,
            "thread.message.completed",
            "thread.run.step.completed",
            "thread.run.completed",
            "done",
        ]
        by_name = dict(events)
        assert events[0][1]["status"] == events[1][1]["status"] == "queued"
        assert by_name["thread.run.in_progress"]["started_at"] is not None
        created = by_name["thread.message.created"]
        assert (created["content"], created["status"]) == ([], "in_progress")
        step = by_name["thread.run.step.created"]
        assert step["step_details"]["message_creation"]["message_id"] == created["id"]
        deltas = [data for name, data in events if name == "thread.message.delta"]
        assert deltas[0] == {
            "id": created["id"],
            "object": "thread.message.delta",
            "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "a", "annotations": []}}]},
        }
        assert deltas[1]["delta"]["content"][0]["text"] == {"value": "b"}
        assert by_name["thread.message.completed"]["content"][0]["text"]["value"] == "abc"
        assert by_name["thread.run.completed"]["usage"] == by_name["thread.run.step.completed"]["usage"] is not None
        assert by_name["thread.run.completed"]["expires_at"] is None
        assert by_name["done"] == "[DONE]"


async def test_creating_thread_and_run_together_begins_with_the_thread(tmp_path: Path) -> None:
    async with api_over(tmp_path, FakeEngine(reply="abc")) as api:
        body = {
            "assistant_id": await api.assistant(),
            "thread": {"messages": [{"role": "user", "content": "Hello"}], "metadata": {"k": "v"}},
            "stream": True,
        }
        events = await api.events("/threads/runs", body)
        assert [name for name, _ in events[:2]] == ["thread.created", "thread.run.created"]
        thread = events[0][1]
        assert thread["metadata"] == {"k": "v"}
        assert events[1][1]["thread_id"] == thread["id"]
        assert len((await api.get(f"/threads/{thread['id']}/messages"))["data"]) == 2
        run = await api.post("/threads/runs", {"assistant_id": body["assistant_id"]})
        assert (await ended(api, run["thread_id"], run["id"]))["status"] == "completed"


@pytest.mark.parametrize(
    ("engine", "body", "ending"),
    [
        (
            FakeEngine(reply="x" * 400),
            {"max_completion_tokens": 256},
            ["thread.message.incomplete", "thread.run.step.completed", "thread.run.incomplete", "done"],
        ),
        (
            FakeEngine(reply="abc", fail_at=2),
            {},
            ["thread.message.incomplete", "thread.run.step.failed", "thread.run.failed", "done"],
        ),
        (FakeEngine(busy=True), {}, ["thread.run.step.failed", "thread.run.failed", "done"]),
    ],
    ids=["budget", "failure", "busy"],
)
async def test_other_endings_have_their_own_events(
    tmp_path: Path, engine: FakeEngine, body: dict[str, Any], ending: list[str]
) -> None:
    async with api_over(tmp_path, engine) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        body = {"assistant_id": assistant, "stream": True, **body}
        events = await api.events(f"/threads/{thread}/runs", body)
        assert [name for name, _ in events][-len(ending) :] == ending
        run = events[-2][1]
        assert (run["last_error"] is not None) == (run["status"] == "failed")
        await api.post(f"/threads/{thread}/messages", {"role": "user", "content": "the thread is free"})


async def test_cancelling_ends_the_stream_and_keeps_the_text(tmp_path: Path) -> None:
    async with api_over(tmp_path, FakeEngine(reply="x" * 1000, delay_s=0.02)) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        seen: list[tuple[str, Any]] = []

        async def read() -> None:
            body = {"assistant_id": assistant, "stream": True}
            seen.extend(await api.events(f"/threads/{thread}/runs", body))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            while not (runs := (await api.get(f"/threads/{thread}/runs"))["data"]) or runs[0]["status"] == "queued":
                await trio.sleep(0.02)
            await trio.sleep(0.2)
            cancelled = await api.post(f"/threads/{thread}/runs/{runs[0]['id']}/cancel")
            assert cancelled["status"] == "cancelling"
        assert [name for name, _ in seen][-5:] == [
            "thread.run.cancelling",
            "thread.message.incomplete",
            "thread.run.step.cancelled",
            "thread.run.cancelled",
            "done",
        ]
        message = dict(seen)["thread.message.incomplete"]
        assert message["incomplete_details"] == {"reason": "run_cancelled"}
        assert set(message["content"][0]["text"]["value"]) == {"x"}
        error = await api.refused(f"/threads/{thread}/runs/{runs[0]['id']}/cancel")
        assert error["message"] == "Cannot cancel run with status 'cancelled'."


async def test_a_locked_thread_refuses_messages_and_runs_with_the_documented_message(tmp_path: Path) -> None:
    async with api_over(tmp_path, FakeEngine(hang_in_prefill=True)) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        run = (await api.post(f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
        error = await api.refused(f"/threads/{thread}/runs", {"assistant_id": assistant})
        assert error == {
            "message": f"Thread {thread} already has an active run {run}.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
        error = await api.refused(f"/threads/{thread}/messages", {"role": "user", "content": "x"})
        assert error["message"] == f"Can't add messages to {thread} while a run {run} is active."
        error = await api.refused(f"/threads/{thread}/runs/{run}/submit_tool_outputs", {"tool_outputs": []})
        assert error["message"].startswith('Runs in status "')
        assert error["message"].endswith('" do not accept tool outputs.')


async def test_additional_messages_and_instructions_are_part_of_the_prompt(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with api_over(tmp_path, engine) as api:
        assistant, thread = await api.assistant(instructions="One."), await api.thread("Hello")
        body = {
            "assistant_id": assistant,
            "additional_instructions": "Two.",
            "additional_messages": [
                {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": [{"type": "text", "text": "Well"}, {"type": "text", "text": "."}]},
            ],
        }
        run = await api.post(f"/threads/{thread}/runs", body)
        await ended(api, thread, run["id"])
        assert run["instructions"] == "One.\nTwo."
    assert engine.prompt_text(engine.requests[0]) == (
        "<system>One.\nTwo.</system><user>Hello</user><assistant>Yes?</assistant><user>Well.</user><assistant>"
    )


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"tools": [{"type": "code_interpreter"}]}, "tools", "unsupported_value"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
         "tools[0].function.parameters", "invalid_function_parameters"),
        ({"tools": [{"type": "file_search"}, FUNCTION, FUNCTION]}, "tools", "invalid_value"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice", "invalid_value"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "code_interpreter"}}, "tool_choice", "unsupported_value"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice",
         "invalid_value"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 5}}}},
         "response_format", "invalid_json_schema"),
        ({"max_completion_tokens": 255}, "max_completion_tokens", "integer_below_min_value"),
        ({"max_prompt_tokens": 0}, "max_prompt_tokens", "integer_below_min_value"),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"truncation_strategy": {"type": "last_messages"}}, "truncation_strategy.last_messages", MISSING),
        ({"additional_messages": [{"role": "user"}]}, "additional_messages[0].content", MISSING),
        ({"tools": [{"type": "function"}]}, "tools[0].function", MISSING),
        ({"tool_choice": "maybe"}, "tool_choice", "invalid_value"),
        ({"metadata": {"k": 1}}, "metadata.k", "invalid_type"),
    ],
)  # fmt: skip
async def test_settings_that_a_run_cannot_honour_are_refused_by_name(
    tmp_path: Path, body: dict[str, Any], param: str, code: str
) -> None:
    async with api_over(tmp_path) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        error = await api.refused(f"/threads/{thread}/runs", {"assistant_id": assistant, **body})
        assert (error["param"], error["code"]) == (param, code)
        assert (await api.get(f"/threads/{thread}/runs"))["data"] == []


async def test_tools_of_an_earlier_assistant_are_refused_when_no_run_can_use_them(tmp_path: Path) -> None:
    tools = [{"type": "code_interpreter"}]
    old = Assistant(id=new_id("asst"), created_at=1, model="fake-model", tools=tools)
    assistant = open_store(tmp_path).assistants.create(old).id
    async with api_over(tmp_path) as api:
        thread = await api.thread("Hello")
        error = await api.refused(f"/threads/{thread}/runs", {"assistant_id": assistant})
        assert error["param"] == "tools"
        assert "does not run code" in error["message"]
        run = await api.post(f"/threads/{thread}/runs", {"assistant_id": assistant, "tools": []})
        assert run["tools"] == []


async def test_unknown_ids_are_404_with_the_documented_message(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        run = (await api.post(f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
        for path, message in {
            "/assistants/asst_x": "No assistant found with id 'asst_x'.",
            "/threads/thread_x": "No thread found with id 'thread_x'.",
            f"/threads/{thread}/messages/msg_x": "No message found with id 'msg_x'.",
            f"/threads/{thread}/runs/run_x": "No run found with id 'run_x'.",
            f"/threads/{thread}/runs/{run}/steps/step_x": "No run step found with id 'step_x'.",
            "/threads/thread_x/runs": "No thread found with id 'thread_x'.",
        }.items():
            error = (await api.get(path, status=404))["error"]
            assert (error["message"], error["type"]) == (message, "invalid_request_error")
        error = await api.refused(f"/threads/{thread}/runs", {"assistant_id": "asst_x"}, status=404)
        assert error["message"] == "No assistant found with id 'asst_x'."
        error = await api.refused(f"/threads/{thread}/runs", {"assistant_id": assistant, "model": "gpt-x"}, status=404)
        assert error["code"] == "model_not_found"


async def test_a_poller_gets_the_time_to_sleep(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        run = (await api.post(f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
        response = await api.client.get(f"/v1/threads/{thread}/runs/{run}")
        assert 0 < int(response.headers["openai-poll-after-ms"]) <= 1000


async def test_a_run_survives_the_server_and_is_executed_by_the_next_one(tmp_path: Path) -> None:
    async with api_over(tmp_path, FakeEngine(hang_in_prefill=True)) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        run = (await api.post(f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
        await trio.sleep(0.1)
    async with api_over(tmp_path, FakeEngine(reply="late")) as api:
        assert (await ended(api, thread, run))["status"] == "completed"
        assert len((await api.get(f"/threads/{thread}/messages"))["data"]) == 2


async def test_too_many_runs_are_refused_with_429_and_leave_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxillama.assistants.service.MAX_RUNS", 1)
    async with api_over(tmp_path, FakeEngine(hang_in_prefill=True)) as api:
        assistant = await api.assistant()
        await api.post("/threads/runs", {"assistant_id": assistant})
        response = await api.client.post("/v1/threads/runs", json={"assistant_id": assistant})
        assert response.status_code == 429
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert len(rows(tmp_path, "threads")) == 1
