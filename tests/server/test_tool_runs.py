"""Runs with tools over HTTP: the order of the events, what they carry, joining a run, and the refusals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio

from oxillama.assistants.service import open_assistants
from tests.server.test_assistants_runs import RUN_KEYS, STEP_KEYS, ended
from tests.support.assistants_api import Api, api_over, parse_events
from tests.support.live_server import get, live_server, post
from tests.support.tool_runs import SEARCH, TIME, WEATHER, FakeSearch, ToolEngine, call

if TYPE_CHECKING:
    from pathlib import Path

ROME, CLOCK = call("weather", city="Rome"), call("time")
CONTENT = "step_details.tool_calls[*].file_search.results[*].content"


async def started(api: Api, **body: Any) -> tuple[str, list[tuple[str, Any]]]:
    """A thread, and the events of a streamed run on it."""
    assistant, thread = await api.assistant(tools=[WEATHER, TIME]), await api.thread("Hello")
    body = {"assistant_id": assistant, "stream": True, **body}
    return thread, await api.events(f"/threads/{thread}/runs", body)


def outputs(run: Any, *texts: str) -> list[dict[str, str]]:
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return [{"tool_call_id": one["id"], "output": text} for one, text in zip(calls, texts, strict=True)]


async def test_the_events_of_a_call_and_of_its_output_in_the_documented_order(tmp_path: Path) -> None:
    async with api_over(tmp_path, ToolEngine(ROME)) as api:
        thread, events = await started(api)
        names = [name for name, _ in events]
        assert names[:5] == [
            "thread.run.created",
            "thread.run.queued",
            "thread.run.in_progress",
            "thread.run.step.created",
            "thread.run.step.in_progress",
        ]
        assert set(names[5:-2]) == {"thread.run.step.delta"}
        assert names[-2:] == ["thread.run.requires_action", "done"]
        created = events[3][1]
        assert set(created) == STEP_KEYS
        assert (created["type"], created["step_details"]) == ("tool_calls", {"type": "tool_calls", "tool_calls": []})
        deltas = [data for _, data in events[5:-2]]
        assert {(one["id"], one["object"]) for one in deltas} == {(created["id"], "thread.run.step.delta")}
        pieces = [one["delta"]["step_details"]["tool_calls"][0] for one in deltas]
        run = events[-2][1]
        assert set(run) - {"reasoning_effort"} == RUN_KEYS
        (wanted,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        begun = {"name": "weather", "arguments": "", "output": None}
        assert pieces[0] == {"index": 0, "id": wanted["id"], "type": "function", "function": begun}
        assert all(set(one) == {"index", "type", "function"} for one in pieces[1:])
        assert "".join(one["function"]["arguments"] for one in pieces) == wanted["function"]["arguments"]
        assert (run["status"], run["usage"]["total_tokens"] > 0) == ("requires_action", True)
        step = await api.get(f"/threads/{thread}/runs/{run['id']}/steps/{created['id']}")
        function = {**wanted["function"], "output": None}
        calls = [{"id": wanted["id"], "type": "function", "function": function}]
        assert (step["status"], step["usage"], step["step_details"]["tool_calls"]) == ("in_progress", None, calls)

        path = f"/threads/{thread}/runs/{run['id']}"
        events = await api.events(f"{path}/submit_tool_outputs", {"tool_outputs": outputs(run, "21"), "stream": True})
        names = [name for name, _ in events]
        assert [name for name in names if name != "thread.message.delta"] == [
            "thread.run.step.completed",
            "thread.run.queued",
            "thread.run.in_progress",
            "thread.run.step.created",
            "thread.run.step.in_progress",
            "thread.message.created",
            "thread.message.in_progress",
            "thread.message.completed",
            "thread.run.step.completed",
            "thread.run.completed",
            "done",
        ]
        calls[0]["function"]["output"] = "21"
        done = events[0][1]
        assert (done["id"], done["step_details"]["tool_calls"]) == (created["id"], calls)
        assert (events[1][1]["status"], events[1][1]["required_action"]) == ("queued", None)
        steps = (await api.get(f"{path}/steps", order="asc"))["data"]
        assert [one["type"] for one in steps] == ["tool_calls", "message_creation"]
        total = events[-2][1]["usage"]["total_tokens"]
        assert total == sum(one["usage"]["total_tokens"] for one in steps)


async def test_wrong_outputs_and_wrong_states_are_refused_in_the_known_words(tmp_path: Path) -> None:
    async with api_over(tmp_path, ToolEngine(f"{ROME}\n{CLOCK}")) as api:
        thread, events = await started(api)
        run = events[-2][1]
        path = f"/threads/{thread}/runs/{run['id']}/submit_tool_outputs"
        given = outputs(run, "21", "noon")
        ids = [one["tool_call_id"] for one in given]
        error = await api.refused(path, {"tool_outputs": given[:1]})
        assert error == {
            "message": f"Expected tool outputs for call_ids ['{ids[0]}', '{ids[1]}'], got ['{ids[0]}']",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
        error = await api.refused(path, {"tool_outputs": [{"output": "21"}]})
        assert error["message"] == "Missing required parameter: 'tool_outputs[0].tool_call_id'."
        error = await api.refused(path, {})
        assert (error["param"], error["code"]) == ("tool_outputs", "missing_required_parameter")
        error = await api.refused(f"/threads/{thread}/messages", {"role": "user", "content": "x"})
        assert error["message"] == f"Can't add messages to {thread} while a run {run['id']} is active."
        submitted = await api.post(path, {"tool_outputs": [{**one, "output": None} for one in given]})
        assert submitted["status"] == "queued"
        assert (await ended(api, thread, run["id"]))["status"] == "completed"
        error = await api.refused(path, {"tool_outputs": given})
        assert error["message"] == 'Runs in status "completed" do not accept tool outputs.'


async def test_a_run_is_joined_again_behind_any_event(tmp_path: Path) -> None:
    async with api_over(tmp_path, ToolEngine("abc")) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        body = {"assistant_id": assistant, "stream": True}
        response = await api.client.post(f"/v1/threads/{thread}/runs", json=body)
        cursors = re.findall(r"^: ([0-9a-f]{8}-\d+)$", response.text, re.MULTILINE)
        events = parse_events(response.text)
        assert len(cursors) == len(events) - 1
        path = f"/v1/threads/{thread}/runs/{events[0][1]['id']}/events"
        for at, cursor in enumerate(cursors):
            again = await api.client.get(f"{path}?after={cursor}")
            assert again.content_type.startswith("text/event-stream")
            assert parse_events(again.text) == events[at + 1 :]
        assert parse_events((await api.client.get(path)).text) == events
        wrong = await api.client.get(f"{path}?after=12")
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "after")
        missing = await api.client.get(f"/v1/threads/{thread}/runs/run_x/events")
        assert missing.status_code == 404
    async with api_over(tmp_path) as api:
        anew = parse_events((await api.client.get(f"{path}?after={cursors[4]}")).text)
        assert anew[0][0] == "thread.run.restarted"
        text = [data["delta"]["content"][0]["text"]["value"] for name, data in anew if name == "thread.message.delta"]
        assert "".join(text) == "abc"
        assert [name for name, _ in anew[1:] if "delta" not in name] == [n for n, _ in events if "delta" not in n]


async def test_a_join_of_a_run_that_goes_on_hears_the_rest_as_it_comes(tmp_path: Path) -> None:
    engine = ToolEngine("x" * 40, delay_s=0.02)
    async with api_over(tmp_path, engine) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        run = (await api.post(f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
        await trio.sleep(0.2)
        events = parse_events((await api.client.get(f"/v1/threads/{thread}/runs/{run}/events")).text)
        assert [name for name, _ in events][-2:] == ["thread.run.completed", "done"]
        text = [data["delta"]["content"][0]["text"]["value"] for name, data in events if name.endswith("message.delta")]
        assert "".join(text) == "x" * 40


async def test_a_client_that_leaves_its_stream_does_not_end_the_run_and_finds_the_rest(tmp_path: Path) -> None:
    engine = ToolEngine("x" * 60, delay_s=0.01)
    async with live_server(engine, data_dir=str(tmp_path)) as live:

        async def ask(data: bytes) -> Any:
            answer = await live.ask(data)
            assert answer.status == 200, answer.body
            return msgspec.json.decode(answer.body)

        assistant = (await ask(post("/v1/assistants", {"model": "fake-model"})))["id"]
        async with await live.connect() as client:
            await client.send(post("/v1/threads/runs", {"assistant_id": assistant, "stream": True}))
            begun = (await client.until(b"thread.message.delta")).decode()
        run = re.findall(r'"id":"(run_\w+)"', begun)[0]
        thread = re.findall(r'"thread_id":"(thread_\w+)"', begun)[0]
        cursor = re.findall(r"^: ([0-9a-f]{8}-\d+)\r?$", begun, re.MULTILINE)[-2]  # of the last whole event
        path = f"/v1/threads/{thread}/runs/{run}"
        rest = await live.ask(get(f"{path}/events?after={cursor}"))
        names = [name for name, _ in parse_events(rest.body.decode())]
        assert names.count("thread.message.delta") == 60
        assert names[-2:] == ["thread.run.completed", "done"]
        assert (await ask(get(path)))["status"] == "completed"


@pytest.fixture
def searching(monkeypatch: pytest.MonkeyPatch) -> FakeSearch:
    """The server's search, in a vector store that every run has."""
    search = FakeSearch("The Nile is long.")

    def opened(data: Any, engine: Any, **settings: Any) -> Any:
        return open_assistants(data, engine, **(settings | {"search": search}))

    monkeypatch.setattr("oxillama.server.data.open_assistants", opened)
    monkeypatch.setattr("oxillama.assistants.run.tools.searching.vector_stores", lambda run, thread: ["vs_rivers"])
    return search


async def test_texts_of_search_results_are_shown_where_they_are_asked_for(
    tmp_path: Path, searching: FakeSearch
) -> None:
    async with api_over(tmp_path, ToolEngine(call("file_search", query="rivers"))) as api:
        assistant = await api.assistant(tools=[SEARCH])
        thread = await api.thread("Hello")
        with_content = f"/threads/{thread}/runs?include[]={CONTENT}"
        events = await api.events(with_content, {"assistant_id": assistant, "stream": True})
        delta = next(data for name, data in events if name == "thread.run.step.delta")
        (begun,) = delta["delta"]["step_details"]["tool_calls"]
        assert begun == {"index": 0, "id": begun["id"], "type": "file_search", "file_search": {}}
        run = events[-2][1]["id"]
        path = f"/threads/{thread}/runs/{run}/steps"
        plain = (await api.get(path, order="asc"))["data"][0]
        full = (await api.get(path, order="asc", include=CONTENT))["data"][0]
        assert full == await api.get(f"{path}/{full['id']}", include=CONTENT)
        assert full == next(data for name, data in events if name == "thread.run.step.completed")
        error = (await api.get(path, status=400, include="x"))["error"]
        assert (error["param"], error["code"]) == ("include", "invalid_value")
    assert [query for _, query, _ in searching.asked] == ["rivers"]
    found = {"file_id": "file-0", "file_name": "0.md", "score": 0.9}
    with_text = {**found, "content": [{"type": "text", "text": "The Nile is long."}]}
    for step, expected in ((plain, found), (full, with_text)):
        assert step["step_details"]["tool_calls"][0]["file_search"]["results"] == [expected]


async def test_citations_come_with_the_text_that_has_their_mark(tmp_path: Path, searching: FakeSearch) -> None:
    answer = "The Nile【0:0†0.md】."
    async with api_over(tmp_path, ToolEngine(call("file_search", query="q"), answer)) as api:
        assistant, thread = await api.assistant(tools=[SEARCH]), await api.thread("Hello")
        events = await api.events(f"/threads/{thread}/runs", {"assistant_id": assistant, "stream": True})
        message = (await api.get(f"/threads/{thread}/messages"))["data"][0]
        texts = [data["delta"]["content"][0]["text"] for name, data in events if name == "thread.message.delta"]
        annotations = [one for text in texts for one in text.get("annotations", [])]
        (cited,) = message["content"][0]["text"]["annotations"]
        assert annotations == [{"index": 0, **cited}]
        assert answer[cited["start_index"] : cited["end_index"]] == cited["text"] == "【0:0†0.md】"
        assert cited["file_citation"] == {"file_id": "file-0"}


async def test_settings_of_tools_and_formats_hold_for_a_run(tmp_path: Path) -> None:
    engine = ToolEngine('{"warm": true}')
    schema = {"type": "object", "properties": {"warm": {"type": "boolean"}}, "required": ["warm"]}
    form = {"type": "json_schema", "json_schema": {"name": "warmth", "schema": schema, "strict": False}}
    async with api_over(tmp_path, engine) as api:
        assistant, thread = await api.assistant(response_format=form), await api.thread("Hello")
        run = await api.post(f"/threads/{thread}/runs", {"assistant_id": assistant, "reasoning_effort": "low"})
        assert (run["response_format"]["json_schema"]["name"], run["reasoning_effort"]) == ("warmth", "low")
        assert (await ended(api, thread, run["id"]))["status"] == "completed"
        assert engine.requests[-1].constraint is not None
        other = {"assistant_id": assistant, "response_format": "auto", "tools": [WEATHER], "tool_choice": "none"}
        run = await api.post(f"/threads/{thread}/runs", other)
        assert (await ended(api, thread, run["id"]))["status"] == "completed"
        assert run["tools"] == [WEATHER]


async def test_runs_wait_in_order_where_the_server_is_told_so(tmp_path: Path) -> None:
    async with api_over(tmp_path, ToolEngine(delay_s=0.01), queue_runs=True, run_expiry=120) as api:
        assistant, thread = await api.assistant(), await api.thread("first")
        runs = []
        for text in ("second", "third"):
            body = {"assistant_id": assistant, "additional_messages": [{"role": "user", "content": text}]}
            runs.append(await api.post(f"/threads/{thread}/runs", body))
        assert [run["status"] for run in runs] == ["queued", "queued"]
        assert runs[0]["expires_at"] == runs[0]["created_at"] + 120
        await api.post(f"/threads/{thread}/messages", {"role": "user", "content": "fourth"})
        messages = (await api.get(f"/threads/{thread}/messages", order="asc"))["data"]
        texts = [message["content"][0]["text"]["value"] for message in messages]
        assert texts == ["first", "second", "Results: ", "third", "Results: ", "fourth"]
        first, second = [await ended(api, thread, run["id"]) for run in runs]
        assert second["started_at"] >= first["completed_at"]
