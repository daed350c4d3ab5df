"""Assistants, threads and messages over HTTP: stored fields, refusals by name, and pages of lists."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from oxillama.assistants.records import Assistant
from oxillama.storage.ids import new_id
from tests.support.assistants_api import Api, api_over
from tests.support.fake_engine import FakeEngine
from tests.support.stores import damage, open_store, rows

if TYPE_CHECKING:
    from pathlib import Path

ASSISTANT = {
    "model": "fake-model",
    "name": "Name",
    "description": "Does things",
    "instructions": "Do things.",
    "tools": [],
    "tool_resources": {"code_interpreter": {"file_ids": []}},
    "metadata": {"k": "v"},
    "temperature": 0.5,
    "top_p": 0.25,
    "response_format": {"type": "text"},
}
ASSISTANT_KEYS = {"id", "object", "created_at", *ASSISTANT}


async def test_an_assistant_is_stored_as_given(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        made = await api.post("/assistants", ASSISTANT)
        assert {key: made[key] for key in ASSISTANT} == ASSISTANT
        assert made["object"] == "assistant"
    async with api_over(tmp_path) as api:
        assert await api.get(f"/assistants/{made['id']}") == made


async def test_a_plain_assistant_has_every_key_and_the_defaults(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        made = await api.post("/assistants", {"model": "fake-model", "name": None})
        assert set(made) - {"reasoning_effort"} == ASSISTANT_KEYS
        assert (made["tools"], made["metadata"], made["temperature"], made["response_format"]) == ([], {}, 1.0, "auto")
        assert made["name"] is made["instructions"] is made["tool_resources"] is None


async def test_modifying_changes_the_given_fields_only_and_replaces_metadata(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        made = await api.post("/assistants", ASSISTANT)
        changed = await api.post(f"/assistants/{made['id']}", {"name": "Other", "metadata": {"a": "b"}, "tools": []})
        assert changed == made | {"name": "Other", "metadata": {"a": "b"}, "tools": []}
        assert await api.get(f"/assistants/{made['id']}") == changed


async def test_a_deleted_assistant_is_gone_and_its_threads_stay(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        deleted = await api.delete(f"/assistants/{assistant}")
        assert deleted == {"id": assistant, "object": "assistant.deleted", "deleted": True}
        error = await api.delete(f"/assistants/{assistant}", status=404)
        assert error["error"]["message"] == f"No assistant found with id '{assistant}'."
        assert (await api.get("/assistants"))["data"] == []
        await api.get(f"/threads/{thread}")


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"name": "x" * 257}, "name", "string_above_max_length"),
        ({"description": "x" * 513}, "description", "string_above_max_length"),
        ({"instructions": "x" * 256_001}, "instructions", "string_above_max_length"),
        ({"tools": [{"type": "code_interpreter"}] * 129}, "tools", "array_above_max_length"),
        ({"tools": [{"type": "browser"}]}, "tools[0].type", "invalid_value"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "object_above_max_properties"),
        ({"metadata": {"k" * 65: ""}}, "metadata", "string_above_max_length"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k", "string_above_max_length"),
        ({"tools": [{"type": "function", "function": {"name": "f\n"}}]}, "tools[0].function.name", "invalid_value"),
        ({"temperature": -1}, "temperature", "decimal_below_min_value"),
        ({"top_p": 1.5}, "top_p", "decimal_above_max_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
        (
            {"tool_resources": {"file_search": {"vector_store_ids": ["vs_x", "vs_y"]}}},
            "tool_resources.file_search.vector_store_ids",
            "array_above_max_length",
        ),
    ],
)
async def test_an_assistant_over_a_limit_is_refused_by_name(
    tmp_path: Path, body: dict[str, Any], param: str, code: str
) -> None:
    async with api_over(tmp_path) as api:
        error = await api.refused("/assistants", ASSISTANT | body)
        assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")


UNSUPPORTED = [
    ({"tools": [{"type": "code_interpreter"}]}, "tools", "unsupported_value"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}] * 2}, "tools", "invalid_value"),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
        "tools[0].function.parameters",
        "invalid_function_parameters",
    ),
]


@pytest.mark.parametrize(("body", "param", "code"), UNSUPPORTED)
async def test_an_assistant_that_no_run_could_use_is_refused_at_once(
    tmp_path: Path, body: dict[str, Any], param: str, code: str
) -> None:
    async with api_over(tmp_path) as api:
        made = await api.post("/assistants", ASSISTANT)
        for path in ("/assistants", f"/assistants/{made['id']}"):
            error = await api.refused(path, ASSISTANT | body)
            assert (error["param"], error["code"]) == (param, code)
        assert (await api.get("/assistants"))["data"] == [made]


async def test_an_assistant_of_a_model_that_is_not_served_is_refused_at_once(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        made = await api.post("/assistants", ASSISTANT)
        for path in ("/assistants", f"/assistants/{made['id']}"):
            error = await api.refused(path, {"model": "gpt-x"}, status=404)
            assert error["message"].startswith("The model `gpt-x` does not exist or you do not have access to it.")
            assert (error["param"], error["code"]) == ("model", "model_not_found")
        assert (await api.get("/assistants"))["data"] == [made]


async def test_an_assistant_of_an_earlier_version_is_still_read_listed_changed_and_deleted(tmp_path: Path) -> None:
    """Stored when another model was served, or by a version that refused it later."""
    store = open_store(tmp_path)
    tools = [{"type": "function", "function": {"name": "f"}}]
    old = store.assistants.create(Assistant(id=new_id("asst"), created_at=1, model="another-model", tools=tools))
    async with api_over(tmp_path) as api:
        path, thread = f"/assistants/{old.id}", await api.thread("Hello")
        assert [one["id"] for one in (await api.get("/assistants"))["data"]] == [old.id]
        assert (await api.get(path))["model"] == "another-model"
        assert (await api.refused(f"/threads/{thread}/runs", {"assistant_id": old.id}, status=404))["param"] == "model"
        assert (await api.post(path, {"name": "New"}))["tools"] == tools
        assert (await api.post(path, {"model": "fake-model", "tools": []}))["name"] == "New"
        await api.post(f"/threads/{thread}/runs", {"assistant_id": old.id})
        await api.delete(path)


async def test_a_thread_can_be_stored_changed_and_deleted(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        made = await api.post("/threads", {"metadata": {"k": "v"}})
        keys = {"id", "object", "created_at", "metadata", "tool_resources"}
        assert set(made) == keys
        assert (made["object"], made["metadata"]) == ("thread", {"k": "v"})
        path = f"/threads/{made['id']}"
        changed = await api.post(path, {"metadata": {"a": "b"}})
        assert await api.get(path) == changed == made | {"metadata": {"a": "b"}}
        assert await api.delete(path) == {"id": made["id"], "object": "thread.deleted", "deleted": True}
        await api.get(path, status=404)
        await api.get(f"{path}/messages", status=404)


async def test_an_empty_body_makes_an_empty_thread(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        response = await api.client.post("/v1/threads", headers={"content-type": "application/json"})
        assert response.status_code == 200
        assert (await api.get(f"/threads/{response.json()['id']}/messages"))["data"] == []


async def test_a_message_can_be_stored_changed_and_deleted(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        thread = await api.thread()
        parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
        made = await api.post(f"/threads/{thread}/messages", {"role": "user", "content": parts, "metadata": {"k": "v"}})
        assert [part["text"] for part in made["content"]] == [
            {"value": "one", "annotations": []},
            {"value": "two", "annotations": []},
        ]
        assert (made["status"], made["run_id"], made["assistant_id"]) == ("completed", None, None)
        assert (made["thread_id"], made["attachments"], made["metadata"]) == (thread, [], {"k": "v"})
        path = f"/threads/{thread}/messages/{made['id']}"
        changed = await api.post(path, {"metadata": {}})
        assert await api.get(path) == changed == made | {"metadata": {}}
        assert await api.delete(path) == {"id": made["id"], "object": "thread.message.deleted", "deleted": True}
        await api.get(path, status=404)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"role": "system", "content": "x"}, "role", "invalid_value"),
        ({"content": "x"}, "role", "missing_required_parameter"),
        ({"role": "user"}, "content", "missing_required_parameter"),
        ({"role": "user", "content": []}, "content", "empty_array"),
        ({"role": "user", "content": 3}, "content", "invalid_type"),
        ({"role": "user", "content": "x" * 256_001}, "content", "string_above_max_length"),
        ({"role": "user", "content": [{"type": "audio"}]}, "content[0].type", "invalid_value"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "content[0].image_url", "missing_required_parameter"),
        (
            {"role": "user", "content": [{"type": "image_file", "image_file": {"file_id": "f", "detail": "x"}}]},
            "content[0].image_file.detail",
            "invalid_value",
        ),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0].text", "missing_required_parameter"),
        (
            {"role": "user", "content": "x", "attachments": [{"tools": []}]},
            "attachments[0].file_id",
            "missing_required_parameter",
        ),
    ],
)
async def test_a_message_that_cannot_be_stored_is_refused_by_name(
    tmp_path: Path, body: dict[str, Any], param: str, code: str
) -> None:
    async with api_over(tmp_path) as api:
        thread = await api.thread()
        error = await api.refused(f"/threads/{thread}/messages", body)
        assert (error["param"], error["code"]) == (param, code)
        error = await api.refused("/threads", {"messages": [body]})
        assert error["param"] == f"messages[0].{param}"
        assert len(rows(tmp_path, "threads")) == 1


async def test_images_are_kept_and_the_model_is_told_that_it_cannot_see_them(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with api_over(tmp_path, engine) as api:
        parts = [
            {"type": "text", "text": "Who is this? "},
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
            {"type": "image_file", "image_file": {"file_id": "file-abc"}},
        ]
        thread = await api.post("/threads", {"messages": [{"role": "user", "content": parts}]})
        (message,) = (await api.get(f"/threads/{thread['id']}/messages"))["data"]
        assert message["content"] == [
            {"type": "text", "text": {"value": "Who is this? ", "annotations": []}},
            parts[1],
            {"type": "image_file", "image_file": {"file_id": "file-abc", "detail": "auto"}},
        ]
        await api.events(f"/threads/{thread['id']}/runs", {"assistant_id": await api.assistant(), "stream": True})
        assert "Who is this? [An image, which you cannot see][An image" in engine.prompt_text(engine.requests[0])


async def test_version_1_of_the_api_is_refused_as_the_hosted_api_does(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        for header, status in (("assistants=v1", 400), ("assistants=v2", 200), ("assistants=v1, assistants=v2", 200)):
            answer = await api.client.get("/v1/assistants", headers={"OpenAI-Beta": header})
            assert answer.status_code == status
            if status == 400:
                error = answer.json()["error"]
                assert error["message"].startswith("The v1 Assistants API has been deprecated. Please try again by")
                assert error["code"] == "invalid_beta"
        assert (await api.client.get("/v1/models", headers={"OpenAI-Beta": "assistants=v1"})).status_code == 200


async def test_messages_are_filtered_by_run(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        thread = await api.thread("a", "b")
        assert (await api.get(f"/threads/{thread}/messages", run_id="run_x"))["data"] == []


async def pages(api: Api, path: str, cursor: str, **query: Any) -> list[list[str]]:
    """The ids of all pages, requested as official clients do."""
    found: list[list[str]] = []
    for _ in range(100):
        page = await api.get(path, **query)
        ids = [item["id"] for item in page["data"]]
        assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
        found.append(ids)
        if not page["has_more"]:
            return found
        query[cursor] = ids[-1] if cursor == "after" else ids[0]
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("kind", ["assistants", "messages"])
async def test_250_items_are_walked_in_both_directions(tmp_path: Path, kind: str) -> None:
    async with api_over(tmp_path) as api:
        if kind == "assistants":
            path, made = "/assistants", [await api.assistant() for _ in range(250)]
        else:
            path = f"/threads/{await api.thread(*map(str, range(250)))}/messages"
            whole = [await api.get(path, limit=100, order="asc")]
            while whole[-1]["has_more"]:
                whole.append(await api.get(path, limit=100, order="asc", after=whole[-1]["last_id"]))
            items = [item for page in whole for item in page["data"]]
            assert [item["content"][0]["text"]["value"] for item in items] == [str(n) for n in range(250)]
            made = [item["id"] for item in items]
        newest_first = made[::-1]
        down = await pages(api, path, "after", limit=100)
        assert [len(page) for page in down] == [100, 100, 50]
        assert [i for page in down for i in page] == newest_first
        assert [i for page in await pages(api, path, "after", limit=33, order="asc") for i in page] == made
        assert (await pages(api, path, "after"))[0] == newest_first[:20]
        up = await pages(api, path, "before", limit=100, before=made[0])
        assert [i for page in reversed(up) for i in page] == newest_first[:-1]


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": "up"}, "order"), ({"after": "msg_x"}, "after")],
)
async def test_an_invalid_page_request_is_refused_by_name(tmp_path: Path, query: dict[str, Any], param: str) -> None:
    async with api_over(tmp_path) as api:
        thread = await api.thread("a")
        error = (await api.get(f"/threads/{thread}/messages", status=400, **query))["error"]
        assert error["param"] == param


async def test_a_damaged_thread_is_a_500_for_that_thread_only(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        bad, good = await api.thread("a"), await api.thread("b")
    damage(tmp_path, "threads", bad, "{")
    async with api_over(tmp_path) as api:
        error = (await api.get(f"/threads/{bad}", status=500))["error"]
        assert error["type"] == "server_error"
        assert "damaged" in error["message"]
        assert str(tmp_path) not in error["message"]
        await api.get(f"/threads/{good}")
        assert (await api.get(f"/threads/{good}/messages"))["data"][0]["content"][0]["text"]["value"] == "b"


async def test_a_very_long_id_is_not_repeated_whole(tmp_path: Path) -> None:
    async with api_over(tmp_path) as api:
        for path in ("/assistants/", "/threads/", f"/threads/{await api.thread('Hello')}/messages/"):
            error = await api.get(path + "x" * 5000, status=404)
            assert "found with id 'xxx" in error["error"]["message"]
            assert len(error["error"]["message"]) < 300


async def test_messages_are_made_beside_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body may hold a hundred thousand, which would hold up every other request."""
    makers: list[int] = []

    def noted(prefix: str) -> str:
        makers.append(threading.get_ident())
        return new_id(prefix)

    monkeypatch.setattr("oxillama.server.apis.messages.request.new_id", noted)
    async with api_over(tmp_path) as api:
        assistant, thread = await api.assistant(), await api.thread("one")
        more = [{"role": "user", "content": "two"}]
        await api.post(f"/threads/{thread}/runs", {"assistant_id": assistant, "additional_messages": more})
        await api.post("/threads/runs", {"assistant_id": assistant, "thread": {"messages": more}})
    assert len(makers) == 3
    assert threading.get_ident() not in makers
