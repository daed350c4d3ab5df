"""Runs that call functions: they wait for the outputs, which lock their threads meanwhile."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from openai import AssistantEventHandler

from tests.conformance.client import Api, plain, violations
from tests.conformance.contract.endpoints import EVENTS

GO: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "go",
        "description": "Goes",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "boolean"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    },
}
"""Its arguments are few, so that every model can write them."""

CALL = {"type": "function", "function": {"name": "go"}}
ASKED: dict[str, Any] = {"tools": [GO], "tool_choice": CALL, "parallel_tool_calls": False, "temperature": 0}
QUICK = {"poll_interval_ms": 20}


def waiting(api: Api) -> dict[str, Any]:
    """A run that waits for the output of one call."""
    run = plain(
        api.beta.threads.runs.create_and_poll(
            thread_id=api.thread("Go.").id, assistant_id=api.assistant(tools=[GO]).id, **ASKED, **QUICK
        )
    )
    assert run["status"] == "requires_action", run
    return dict(run)


def calls_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    return list(run["required_action"]["submit_tool_outputs"]["tool_calls"])


def steps_of(api: Api, run: dict[str, Any]) -> list[dict[str, Any]]:
    page = plain(api.beta.threads.runs.steps.list(run["id"], thread_id=run["thread_id"], order="asc"))
    return list(page["data"])


def check_call(call: dict[str, Any]) -> None:
    assert (call["type"], call["function"]["name"]) == ("function", "go")
    assert json.loads(call["function"]["arguments"]) in ({"a": True}, {"a": False})


def test_an_assistant_keeps_its_tools(api: Api) -> None:
    search = {"type": "file_search", "file_search": {"max_num_results": 7}}
    made = plain(api.assistant(tools=[GO, search]))
    kept = made["tools"][0]["function"]
    assert {key: kept[key] for key in GO["function"]} == GO["function"]
    assert made["tools"][1]["file_search"]["max_num_results"] == 7
    assert plain(api.beta.assistants.retrieve(made["id"])) == made
    changed = plain(api.beta.assistants.update(made["id"], tools=[GO]))
    assert changed == made | {"tools": made["tools"][:1]}
    api.beta.assistants.delete(made["id"])


def test_a_run_waits_for_the_output_and_goes_on_with_it(api: Api) -> None:
    run = waiting(api)
    (call,) = calls_of(run)
    check_call(call)
    assert run["tool_choice"]["function"]["name"] == "go"
    assert run["required_action"]["type"] == "submit_tool_outputs"
    (step,) = steps_of(api, run)
    assert (step["type"], step["status"], step["completed_at"]) == ("tool_calls", "in_progress", None)
    open_call = step["step_details"]["tool_calls"][0]
    assert open_call == call | {"function": call["function"] | {"output": None}}
    where = {"thread_id": run["thread_id"]}
    assert plain(api.beta.threads.runs.retrieve(run["id"], **where)) == run
    outputs = [{"tool_call_id": call["id"], "output": "gone"}]
    again = plain(api.beta.threads.runs.submit_tool_outputs(run["id"], tool_outputs=outputs, **where))
    assert (again["id"], again["required_action"]) == (run["id"], None)
    end = plain(api.beta.threads.runs.poll(run["id"], **where, **QUICK))
    assert end["status"] in ("completed", "incomplete"), end
    done, answer = steps_of(api, end)
    assert (done["id"], done["status"]) == (step["id"], "completed")
    assert done["step_details"]["tool_calls"] == [call | {"function": call["function"] | {"output": "gone"}}]
    assert answer["type"] == "message_creation"
    usages = [one["usage"] for one in (done, answer)]
    assert {key: sum(one[key] for one in usages) for key in ("prompt_tokens", "completion_tokens")} == {
        key: end["usage"][key] for key in ("prompt_tokens", "completion_tokens")
    }
    retrieved = api.beta.threads.runs.steps.retrieve(done["id"], run_id=run["id"], **where)
    assert plain(retrieved) == done


def test_a_thread_with_an_active_run_takes_no_message_and_no_run(api: Api) -> None:
    run = waiting(api)
    thread, names = run["thread_id"], {"thread": run["thread_id"], "run": run["id"]}
    message = partial(api.beta.threads.messages.create, thread, role="user", content="x")
    api.refused("message while a run is active", message, **names)
    again = partial(api.beta.threads.runs.create, thread, assistant_id=run["assistant_id"])
    api.refused("active run", again, **names)
    assert [m.role for m in api.beta.threads.messages.list(thread)] == ["user"]
    cancelled = plain(api.beta.threads.runs.cancel(run["id"], thread_id=thread))
    assert cancelled["status"] in ("cancelling", "cancelled")
    end = plain(api.beta.threads.runs.poll(run["id"], thread_id=thread, **QUICK))
    assert (end["status"], end["required_action"], end["expires_at"]) == ("cancelled", None, None)
    assert run["created_at"] <= end["cancelled_at"] <= api.now() + 5
    changing = ("status", "required_action", "expires_at", "cancelled_at", "usage")
    for found in (cancelled, end):
        assert {k: v for k, v in found.items() if k not in changing} == {
            k: v for k, v in run.items() if k not in changing
        }
    (step,) = steps_of(api, end)
    assert (step["status"], step["completed_at"]) == ("cancelled", None)
    assert step["cancelled_at"] == end["cancelled_at"]
    assert message().role == "user"


def test_exactly_the_outputs_that_are_asked_for_are_taken(api: Api) -> None:
    run = waiting(api)
    (call,) = calls_of(run)
    for wrong in ([], ["call_x"], [call["id"], "call_x"]):
        outputs = [{"tool_call_id": one, "output": "x"} for one in wrong]
        submit = partial(
            api.beta.threads.runs.submit_tool_outputs, run["id"], thread_id=run["thread_id"], tool_outputs=outputs
        )
        api.refused("wrong tool outputs", submit, expected=[call["id"]], got=wrong)
    assert plain(api.beta.threads.runs.retrieve(run["id"], thread_id=run["thread_id"])) == run
    api.beta.threads.runs.cancel(run["id"], thread_id=run["thread_id"])


def test_the_events_of_a_run_with_a_tool(api: Api) -> None:
    thread, assistant = api.thread("Go."), api.assistant()
    body = {"assistant_id": assistant.id, "stream": True, **ASKED}
    events = api.events(f"/threads/{thread.id}/runs", body)
    names = [name for name, _ in events]
    deltas = names.count("thread.run.step.delta")
    assert names == [
        "thread.run.created", "thread.run.queued", "thread.run.in_progress", "thread.run.step.created",
        "thread.run.step.in_progress", *["thread.run.step.delta"] * deltas, "thread.run.requires_action", "done",
    ]  # fmt: skip
    by_name = dict(reversed(events))
    run, step = by_name["thread.run.requires_action"], by_name["thread.run.step.created"]
    (call,) = calls_of(run)
    check_call(call)
    details = {"type": "tool_calls", "tool_calls": []}
    assert (step["type"], step["status"], step["step_details"]) == ("tool_calls", "in_progress", details)
    assert by_name["thread.run.step.in_progress"] == step
    pieces = [data for name, data in events if name == "thread.run.step.delta"]
    assert {data["id"] for data in pieces} == {step["id"]}
    assert {data["delta"]["step_details"]["type"] for data in pieces} == {"tool_calls"}
    parts = [part for data in pieces for part in data["delta"]["step_details"]["tool_calls"]]
    assert {(part["index"], part["type"]) for part in parts} == {(0, "function")}
    first, rest = parts[0], parts[1:]
    assert (first["id"], first["function"]["name"]) == (call["id"], "go")
    assert not any(part.get("id") or part["function"].get("name") for part in rest)
    assert "".join(p["function"].get("arguments") or "" for p in parts) == call["function"]["arguments"]
    assert plain(api.beta.threads.runs.retrieve(run["id"], thread_id=thread.id)) == run

    path = f"/threads/{thread.id}/runs/{run['id']}/submit_tool_outputs"
    outputs = [{"tool_call_id": call["id"], "output": "gone"}]
    events = api.events(path, {"tool_outputs": outputs, "stream": True})
    names = [name for name, _ in events if name != "thread.message.delta"]
    ended = names[-2].rpartition(".")[2]
    assert names == [
        "thread.run.step.completed", "thread.run.queued", "thread.run.in_progress", "thread.run.step.created",
        "thread.run.step.in_progress", "thread.message.created", "thread.message.in_progress",
        f"thread.message.{ended}", "thread.run.step.completed", f"thread.run.{ended}", "done",
    ]  # fmt: skip
    done, answer = (data for name, data in events if name == "thread.run.step.completed")
    assert (done["id"], done["step_details"]["tool_calls"][0]["function"]["output"]) == (step["id"], "gone")
    assert [one["id"] for one in steps_of(api, run)] == [done["id"], answer["id"]]
    assert steps_of(api, run) == [done, answer]
    assert plain(api.beta.threads.runs.retrieve(run["id"], thread_id=thread.id)) == events[-2][1]


class Heard(AssistantEventHandler):
    """What the client's helper tells of a call."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.arguments = ""

    def on_tool_call_created(self, tool_call: Any) -> None:
        self.names.append(f"created {tool_call.function.name}")

    def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        self.arguments += delta.function.arguments or ""

    def on_tool_call_done(self, tool_call: Any) -> None:
        self.names.append("done")
        check_call(plain(tool_call))


def test_the_client_s_helpers_hear_the_call(api: Api) -> None:
    thread, heard = api.thread("Go."), Heard()
    with api.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=api.assistant().id, event_handler=heard, **ASKED
    ) as stream:
        for event in stream:
            assert violations(plain(event.data), EVENTS[event.event]) == []
        run = stream.get_final_run()
    assert heard.names == ["created go", "done"]
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    assert call.function.arguments.endswith(heard.arguments)
    outputs = [{"tool_call_id": call.id, "output": "gone"}]
    with api.beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id, thread_id=thread.id, tool_outputs=outputs
    ) as stream:
        text = "".join(stream.text_deltas)
        end = stream.get_final_run()
    assert end.status in ("completed", "incomplete")
    assert text == api.beta.threads.messages.list(thread.id).data[0].content[0].text.value


def test_code_interpreter_is_served_or_refused_by_name(api: Api) -> None:
    answer = api.ask("POST", "/assistants", {"model": api.model, "tools": [{"type": "code_interpreter"}]})
    if answer.status != 200:
        assert answer.status == 400
        assert "code_interpreter" in answer.json["error"]["message"]
        assert answer.json["error"]["param"].startswith("tools")
