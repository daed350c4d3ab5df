"""/threads and their messages."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.conformance.client import Api, plain

PARTS: list[Any] = [
    {"type": "text", "text": "Who is this? 🙂"},
    {"type": "image_url", "image_url": {"url": "https://images.example/a.png", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "https://images.example/b.png"}},
]


def text(value: str) -> dict[str, Any]:
    """A text part as it is answered."""
    return {"type": "text", "text": {"value": value, "annotations": []}}


def test_a_thread_is_kept_changed_and_deleted(api: Api) -> None:
    before = api.now()
    made = plain(api.beta.threads.create(metadata={"a": "b"}))
    assert before - 5 <= made["created_at"] <= api.now() + 5
    assert (made["object"], made["metadata"]) == ("thread", {"a": "b"})
    assert made["tool_resources"] in (None, {})
    assert plain(api.beta.threads.retrieve(made["id"])) == made
    changed = plain(api.beta.threads.update(made["id"], metadata={"c": "d"}, extra_body={"tool_resources": {}}))
    assert changed["metadata"] == {"c": "d"}
    same = ("id", "object", "created_at")
    assert {k: changed[k] for k in same} == {k: made[k] for k in same}
    assert plain(api.beta.threads.retrieve(made["id"])) == changed
    wanted = {"id": made["id"], "object": "thread.deleted", "deleted": True}
    assert plain(api.beta.threads.delete(made["id"])) == wanted
    for call in (api.beta.threads.retrieve, api.beta.threads.update, api.beta.threads.delete,
                 api.beta.threads.messages.list, api.beta.threads.runs.list):  # fmt: skip
        api.refused("thread not found", partial(call, made["id"]), id=made["id"])


def test_nothing_makes_an_empty_thread(api: Api) -> None:
    for body in (b"", {}, {"messages": None, "metadata": None, "tool_resources": None}):
        answer = api.ask("POST", "/threads", body)
        assert (answer.status, answer.json["metadata"]) == (200, {})
        assert plain(api.beta.threads.messages.list(answer.json["id"]))["data"] == []


def test_a_thread_begins_with_its_messages_in_order(api: Api) -> None:
    messages = [
        {"role": "user", "content": "one", "metadata": {"n": "1"}},
        {"role": "assistant", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "and"}]},
        {"role": "user", "content": PARTS},
    ]
    thread = api.beta.threads.create(messages=messages)
    kept = plain(api.beta.threads.messages.list(thread.id, order="asc"))["data"]
    assert [m["role"] for m in kept] == ["user", "assistant", "user"]
    assert [m["content"] for m in kept[:2]] == [[text("one")], [text("two"), text("and")]]
    assert [m["metadata"] for m in kept] == [{"n": "1"}, {}, {}]
    assert {m["thread_id"] for m in kept} == {thread.id}
    assert len({m["id"] for m in kept}) == 3


def test_a_message_is_kept_changed_and_deleted(api: Api) -> None:
    thread, before = api.thread(), api.now()
    made = plain(api.beta.threads.messages.create(thread.id, role="user", content="Hi\u0000 é", metadata={"a": "b"}))
    assert before - 5 <= made["created_at"] <= api.now() + 5
    assert (made["object"], made["role"], made["status"]) == ("thread.message", "user", "completed")
    assert (made["content"], made["thread_id"], made["metadata"]) == ([text("Hi\u0000 é")], thread.id, {"a": "b"})
    assert made["attachments"] == []
    nothing = ("assistant_id", "run_id", "incomplete_details", "incomplete_at")
    assert [made[key] for key in nothing] == [None] * 4
    assert made["completed_at"] in (None, made["created_at"])
    one = {"thread_id": thread.id}
    assert plain(api.beta.threads.messages.retrieve(made["id"], **one)) == made
    assert plain(api.beta.threads.messages.list(thread.id))["data"] == [made]
    changed = plain(api.beta.threads.messages.update(made["id"], metadata={"c": "d"}, **one))
    assert changed == made | {"metadata": {"c": "d"}}
    assert plain(api.beta.threads.messages.retrieve(made["id"], **one)) == changed
    wanted = {"id": made["id"], "object": "thread.message.deleted", "deleted": True}
    assert plain(api.beta.threads.messages.delete(made["id"], **one)) == wanted
    for call in (api.beta.threads.messages.retrieve, api.beta.threads.messages.update,
                 api.beta.threads.messages.delete):  # fmt: skip
        api.refused("message not found", partial(call, made["id"], **one), id=made["id"])
    assert plain(api.beta.threads.messages.list(thread.id))["data"] == []


def test_parts_are_answered_in_their_own_form(api: Api) -> None:
    thread = api.thread()
    made = plain(api.beta.threads.messages.create(thread.id, role="user", content=PARTS))
    assert made["content"][:2] == [text(PARTS[0]["text"]), PARTS[1]]
    assert made["content"][2]["image_url"]["url"] == PARTS[2]["image_url"]["url"]
    assert plain(api.beta.threads.messages.retrieve(made["id"], thread_id=thread.id)) == made


def test_an_uploaded_image_is_a_part(api: Api) -> None:
    file = api.client.files.create(file=("a.png", b"\x89PNG"), purpose="vision")
    thread, image = api.thread(), {"file_id": file.id, "detail": "high"}
    part = {"type": "image_file", "image_file": image}
    made = plain(api.beta.threads.messages.create(thread.id, role="user", content=[part]))
    assert made["content"] == [part]
    api.client.files.delete(file.id)


LIMITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("missing", {"content": "x"}, {"path": "role"}),
    ("missing", {"role": "user"}, {"path": "content"}),
    ("value", {"role": "system", "content": "x"}, {"path": "role", "value": "system"}),
    ("empty array", {"role": "user", "content": []}, {"path": "content"}),
    ("string too long", {"role": "user", "content": "x" * 256_001},
     {"path": "content", "most": 256_000, "length": 256_001}),
    ("value", {"role": "user", "content": [{"type": "audio"}]}, {"path": "content[0].type", "value": "audio"}),
    ("missing", {"role": "user", "content": [{"type": "text"}]}, {"path": "content[0].text"}),
    ("missing", {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
     {"path": "content[0].image_url.url"}),
    ("missing", {"role": "user", "content": [{"type": "image_file", "image_file": {}}]},
     {"path": "content[0].image_file.file_id"}),
    ("value", {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x", "detail": "x"}}]},
     {"path": "content[0].image_url.detail", "value": "x"}),
    ("too many properties", {"role": "user", "content": "x", "metadata": {str(n): "" for n in range(17)}},
     {"path": "metadata", "most": 16, "length": 17}),
    ("string too long", {"role": "user", "content": "x", "metadata": {"k": "v" * 513}},
     {"path": "metadata.k", "most": 512, "length": 513}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "values"), LIMITS)
def test_a_message_beyond_a_limit_is_refused_by_name(
    api: Api, name: str, body: dict[str, Any], values: dict[str, Any]
) -> None:
    thread = api.thread()
    api.refused(name, lambda: api.ask("POST", f"/threads/{thread.id}/messages", body), **values)
    inside = values | {"path": f"messages[0].{values['path']}"}
    api.refused(name, lambda: api.ask("POST", "/threads", {"messages": [body]}), **inside)
    assert plain(api.beta.threads.messages.list(thread.id))["data"] == []


def test_ids_of_another_thread_are_unknown(api: Api) -> None:
    mine, other = api.thread("mine"), api.thread("other")
    (message,) = api.beta.threads.messages.list(mine.id).data
    api.refused(
        "message not found",
        lambda: api.beta.threads.messages.retrieve(message.id, thread_id=other.id),
        id=message.id,
    )
