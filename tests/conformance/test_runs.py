"""Runs without tools, their steps and their streams."""

from __future__ import annotations

from functools import partial
from typing import Any

from openai import AssistantEventHandler

from tests.conformance.client import Api, plain, violations
from tests.conformance.contract.endpoints import EVENTS

FEW = 256
"""The smallest budget of tokens that a run can have."""


def done(api: Api, thread: Any, assistant: Any, **fields: Any) -> dict[str, Any]:
    """A run at its end."""
    run = api.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=20, max_completion_tokens=FEW, **fields
    )
    ended: dict[str, Any] = plain(run)
    return ended


def answer_of(api: Api, run: dict[str, Any]) -> dict[str, Any]:
    found = api.beta.threads.messages.list(run["thread_id"], run_id=run["id"])
    (message,) = plain(found)["data"]
    answer: dict[str, Any] = message
    return answer


def test_a_run_answers_and_every_field_says_so(api: Api) -> None:
    before = api.now()
    assistant, thread = api.assistant(instructions="Be brief."), api.thread("Hello")
    run = done(api, thread, assistant, metadata={"a": "b"}, temperature=0.5, top_p=0.75)
    assert run["status"] in ("completed", "incomplete"), run
    assert (run["thread_id"], run["assistant_id"], run["model"]) == (thread.id, assistant.id, api.model)
    assert (run["instructions"], run["metadata"], run["tools"]) == ("Be brief.", {"a": "b"}, [])
    assert (run["temperature"], run["top_p"], run["max_completion_tokens"]) == (0.5, 0.75, FEW)
    assert run["truncation_strategy"] == {"type": "auto", "last_messages": None}
    assert (run["tool_choice"], run["response_format"], run["parallel_tool_calls"]) == ("auto", "auto", True)
    nothing = ("cancelled_at", "failed_at", "expires_at", "required_action", "last_error", "max_prompt_tokens")
    assert [run[key] for key in nothing] == [None] * len(nothing)
    assert before - 5 <= run["created_at"] <= run["started_at"] <= api.now() + 5
    usage = run["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"] > 2
    one = {"thread_id": thread.id}
    assert plain(api.beta.threads.runs.retrieve(run["id"], **one)) == run
    assert plain(api.beta.threads.runs.list(thread.id))["data"] == [run]
    changed = plain(api.beta.threads.runs.update(run["id"], metadata={"c": "d"}, **one))
    assert changed == run | {"metadata": {"c": "d"}}
    assert plain(api.beta.threads.runs.retrieve(run["id"], **one)) == changed
    answer = answer_of(api, run)
    assert (answer["role"], answer["run_id"], answer["assistant_id"]) == ("assistant", run["id"], assistant.id)
    assert answer["content"][0]["text"]["value"]
    assert (answer["thread_id"], answer["attachments"], answer["metadata"]) == (thread.id, [], {})
    if run["status"] == "completed":
        assert (answer["status"], run["incomplete_details"]) == ("completed", None)
        assert run["started_at"] <= run["completed_at"] <= api.now() + 5
        assert (answer["incomplete_at"], answer["incomplete_details"]) == (None, None)
        assert run["started_at"] - 1 <= answer["completed_at"] <= run["completed_at"] + 1


def test_the_steps_of_a_run(api: Api) -> None:
    run = done(api, api.thread("Hello"), api.assistant())
    answer, where = answer_of(api, run), {"thread_id": run["thread_id"]}
    listed = plain(api.beta.threads.runs.steps.list(run["id"], **where))
    (step,) = listed["data"]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (step["id"], step["id"], False)
    assert (step["object"], step["type"], step["status"]) == ("thread.run.step", "message_creation", "completed")
    made = {"type": "message_creation", "message_creation": {"message_id": answer["id"]}}
    assert step["step_details"] == made
    for key in ("thread_id", "assistant_id"):
        assert step[key] == run[key]
    assert (step["run_id"], step["usage"], step["metadata"] or {}) == (run["id"], run["usage"], {})
    nothing = ("cancelled_at", "failed_at", "expired_at", "last_error")
    assert [step[key] for key in nothing] == [None] * 4
    assert run["started_at"] - 1 <= step["created_at"] <= step["completed_at"] <= api.now() + 5
    include = ["step_details.tool_calls[*].file_search.results[*].content"]
    retrieved = api.beta.threads.runs.steps.retrieve(step["id"], run_id=run["id"], include=include, **where)
    assert plain(retrieved) == step
    api.beta.threads.runs.steps.list(run["id"], include=include, order="asc", limit=1, **where)
    unknown = "step_" + "0" * 24
    api.refused(
        "step not found",
        lambda: api.beta.threads.runs.steps.retrieve(unknown, run_id=run["id"], **where),
        id=unknown,
    )


def test_what_a_run_overrides_holds_for_it_alone(api: Api) -> None:
    assistant, thread = api.assistant(instructions="Old.", temperature=0.25), api.thread("Hello")
    run = done(
        api, thread, assistant, instructions="New.", additional_instructions="More.", model=api.model,
        additional_messages=[{"role": "user", "content": "And now?", "metadata": {"x": "y"}}],
        truncation_strategy={"type": "last_messages", "last_messages": 1}, tool_choice="none", tools=[],
        parallel_tool_calls=False, response_format={"type": "text"}, max_prompt_tokens=5000,
    )  # fmt: skip
    assert run["instructions"].startswith("New.")
    assert run["instructions"].endswith("More.")
    assert run["truncation_strategy"] == {"type": "last_messages", "last_messages": 1}
    assert (run["tool_choice"], run["parallel_tool_calls"]) == ("none", False)
    assert (run["response_format"], run["max_prompt_tokens"]) == ({"type": "text"}, 5000)
    assert run["temperature"] == 0.25
    assert plain(api.beta.assistants.retrieve(assistant.id)) == plain(assistant)
    messages = plain(api.beta.threads.messages.list(thread.id, order="asc"))["data"]
    assert [m["role"] for m in messages] == ["user", "user", "assistant"]
    assert messages[1]["metadata"] == {"x": "y"}


def test_a_thread_and_its_run_are_made_together(api: Api) -> None:
    assistant = api.assistant()
    run = api.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hi"}], "metadata": {"a": "b"}},
        max_completion_tokens=FEW, poll_interval_ms=20,
    )  # fmt: skip
    assert run.status in ("completed", "incomplete")
    assert api.beta.threads.retrieve(run.thread_id).metadata == {"a": "b"}
    assert [m.role for m in api.beta.threads.messages.list(run.thread_id)] == ["assistant", "user"]


def test_a_run_that_has_ended_cannot_be_cancelled_or_fed(api: Api) -> None:
    run = done(api, api.thread("Hello"), api.assistant())
    one = {"thread_id": run["thread_id"]}
    api.refused(
        "cancel in a wrong state", lambda: api.beta.threads.runs.cancel(run["id"], **one), status=run["status"]
    )
    api.refused(
        "tool outputs in a wrong state",
        lambda: api.beta.threads.runs.submit_tool_outputs(
            run["id"], tool_outputs=[{"tool_call_id": "call_x", "output": "y"}], **one
        ),
        status=run["status"],
    )
    unknown = "run_" + "0" * 24
    api.refused("run not found", lambda: api.beta.threads.runs.retrieve(unknown, **one), id=unknown)


LIMITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("missing", {}, {"path": "assistant_id"}),
    ("number too small", {"max_completion_tokens": 255},
     {"path": "max_completion_tokens", "kind": "integer", "least": 256, "value": 255}),
    ("number too small", {"max_prompt_tokens": 255},
     {"path": "max_prompt_tokens", "kind": "integer", "least": 256, "value": 255}),
    ("value", {"truncation_strategy": {"type": "x"}}, {"path": "truncation_strategy.type", "value": "x"}),
    ("missing", {"truncation_strategy": {"type": "last_messages"}}, {"path": "truncation_strategy.last_messages"}),
    ("array too long", {"tools": [{"type": "file_search"}] * 21}, {"path": "tools", "most": 20, "length": 21}),
    ("too many properties", {"metadata": {str(n): "" for n in range(17)}},
     {"path": "metadata", "most": 16, "length": 17}),
]  # fmt: skip


def test_a_run_beyond_a_limit_is_refused_and_nothing_is_left(api: Api) -> None:
    assistant, thread = api.assistant(), api.thread("Hello")
    for name, body, values in LIMITS:
        body = body if values["path"] == "assistant_id" else {"assistant_id": assistant.id} | body
        for path in (f"/threads/{thread.id}/runs", "/threads/runs"):
            api.refused(name, partial(api.ask, "POST", path, body), **values)
    assert plain(api.beta.threads.runs.list(thread.id))["data"] == []
    none = {"assistant_id": assistant.id, "model": "none-such"}
    api.refused("model not found", lambda: api.ask("POST", f"/threads/{thread.id}/runs", none), model="none-such")


CHANGING = ("status", "started_at", "expires_at", "completed_at", "incomplete_details", "usage")


def begins(found: dict[str, Any], end: dict[str, Any], statuses: tuple[str, ...]) -> None:
    """Check a run that has not ended against its end."""
    assert {k: v for k, v in found.items() if k not in CHANGING} == {
        k: v for k, v in end.items() if k not in CHANGING
    }
    assert found["status"] in statuses
    assert [found[key] for key in ("completed_at", "incomplete_details", "usage")] == [None] * 3
    assert found["started_at"] in ((end["started_at"],) if found["status"] == "in_progress" else (None,))
    expires = found["expires_at"]
    assert expires is None or found["created_at"] < expires


def plain_stream(api: Api, events: list[tuple[str, Any]]) -> dict[str, Any]:
    """Check the events of a run without tools, from `thread.run.created` on: their order, and what is in them."""
    for name, data in events[:-1]:
        assert violations(data, EVENTS[name]) == [], name
    names = [name for name, _ in events]
    ended = names[-2].rpartition(".")[2]
    assert ended in ("completed", "incomplete")
    deltas = names.count("thread.message.delta")
    assert deltas >= 2, "the text came in one piece"
    assert names == [
        "thread.run.created", "thread.run.queued", "thread.run.in_progress", "thread.run.step.created",
        "thread.run.step.in_progress", "thread.message.created", "thread.message.in_progress",
        *["thread.message.delta"] * deltas, f"thread.message.{ended}", "thread.run.step.completed",
        f"thread.run.{ended}", "done",
    ]  # fmt: skip
    by_name = dict(reversed(events))
    run, whole = by_name[f"thread.run.{ended}"], by_name[f"thread.message.{ended}"]
    step, where = by_name["thread.run.step.completed"], {"thread_id": run["thread_id"]}
    assert plain(api.beta.threads.runs.retrieve(run["id"], **where)) == run
    assert plain(api.beta.threads.messages.retrieve(whole["id"], **where)) == whole
    assert plain(api.beta.threads.runs.steps.retrieve(step["id"], run_id=run["id"], **where)) == step
    for name, statuses in (("created", "queued"), ("queued", "queued"), ("in_progress", "in_progress")):
        begins(by_name[f"thread.run.{name}"], run, (statuses,))
    begun: dict[str, Any] = {"content": [], "status": "in_progress", "completed_at": None, "incomplete_at": None}
    for name in ("created", "in_progress"):
        assert by_name[f"thread.message.{name}"] == whole | begun | {"incomplete_details": None}
        opened = by_name[f"thread.run.step.{name}"]
        changes = ("status", "completed_at", "usage", "expires_at")
        assert {k: v for k, v in opened.items() if k not in changes} == {
            k: v for k, v in step.items() if k not in changes
        }
        assert (opened["status"], opened["completed_at"], opened["usage"]) == ("in_progress", None, None)
    pieces = [data for name, data in events if name == "thread.message.delta"]
    assert {data["id"] for data in pieces} == {whole["id"]}
    parts = [part for data in pieces for part in data["delta"]["content"]]
    assert {(part["index"], part["type"]) for part in parts} == {(0, "text")}
    assert "".join(part["text"]["value"] for part in parts) == whole["content"][0]["text"]["value"]
    return dict(run)


def test_the_events_of_a_run_come_in_the_documented_order(api: Api) -> None:
    body = {"assistant_id": api.assistant().id, "stream": True, "max_completion_tokens": FEW}
    messages = [{"role": "user", "content": "Hello"}]
    events = api.events("/threads/runs", body | {"thread": {"messages": messages}})
    assert events[0][0] == "thread.created"
    run = plain_stream(api, events[1:])
    assert events[0][1] == plain(api.beta.threads.retrieve(run["thread_id"]))
    plain_stream(api, api.events(f"/threads/{api.thread('Hello').id}/runs", body))


class Heard(AssistantEventHandler):
    """The names of the callbacks, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""

    def on_run_step_created(self, run_step: Any) -> None:
        self.names.append("step created")

    def on_message_created(self, message: Any) -> None:
        self.names.append("message created")

    def on_text_created(self, text: Any) -> None:
        self.names.append("text created")

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value

    def on_text_done(self, text: Any) -> None:
        self.names.append("text done")
        assert text.value == self.text

    def on_message_done(self, message: Any) -> None:
        self.names.append("message done")

    def on_run_step_done(self, run_step: Any) -> None:
        self.names.append("step done")

    def on_end(self) -> None:
        self.names.append("end")


def test_the_client_s_helpers_hear_everything(api: Api) -> None:
    heard = Heard()
    with api.beta.threads.runs.stream(
        thread_id=api.thread("Hello").id, assistant_id=api.assistant().id, max_completion_tokens=FEW,
        event_handler=heard,
    ) as stream:  # fmt: skip
        events = [(event.event, plain(event.data)) for event in stream]
        (message,) = stream.get_final_messages()
        run = stream.get_final_run()
    plain_stream(api, [*events, ("done", None)])
    assert run.status in ("completed", "incomplete")
    assert message.content[0].text.value == heard.text != ""
    assert heard.names == [
        "step created", "message created", "text created", "text done", "message done", "step done", "end",
    ]  # fmt: skip
    with api.beta.threads.create_and_run_stream(
        assistant_id=api.assistant().id, thread={"messages": [{"role": "user", "content": "Hi"}]},
        max_completion_tokens=FEW,
    ) as stream:  # fmt: skip
        events = [(event.event, plain(event.data)) for event in stream]
    run = plain_stream(api, [*events[1:], ("done", None)])
    assert events[0] == ("thread.created", plain(api.beta.threads.retrieve(run["thread_id"])))


def test_a_run_is_answered_as_it_begins(api: Api) -> None:
    assistant = api.assistant(instructions="Be brief.")
    fields = {"assistant_id": assistant.id, "max_completion_tokens": FEW, "metadata": {"a": "b"}}
    alone = api.beta.threads.runs.create(api.thread("Hello").id, **fields)
    together = api.beta.threads.create_and_run(**fields, thread={"messages": [{"role": "user", "content": "Hi"}]})
    for made in map(plain, (alone, together)):
        end = plain(api.beta.threads.runs.poll(made["id"], thread_id=made["thread_id"], poll_interval_ms=20))
        begins(made, end, ("queued", "in_progress"))


