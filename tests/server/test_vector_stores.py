"""/v1/vector_stores through the official client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
import trio

from oxillama.vector_stores.ingestion import Ingestion
from tests.server.test_client import client_of
from tests.support.fake_engine import FakeEngine
from tests.support.live_server import live_server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RIVERS = "The Danube rises in the Black Forest.\n\nIt flows into the Black Sea after 2850 kilometres.\n"
LAKES = "# Lakes\n\nLake Constance lies between three countries. It is fed by the Rhine.\n"


def static(size: int, overlap: int) -> Any:
    sizes = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
    return {"chunking_strategy": {"type": "static", "static": sizes}}


async def uploaded(client: openai.AsyncOpenAI, name: str, text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return (await client.files.create(file=(name, data), purpose="assistants")).id


async def test_a_file_is_uploaded_read_found_and_detached() -> None:
    async with live_server() as live, client_of(live) as client:
        store = await client.vector_stores.create(name="Waters", metadata={"a": "b"})
        assert (store.name, store.status, store.metadata) == ("Waters", "completed", {"a": "b"})
        assert store.file_counts.total == store.usage_bytes == 0
        file = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=("rivers.txt", RIVERS.encode())
        )
        assert (file.status, file.last_error, file.vector_store_id) == ("completed", None, store.id)
        lakes = await client.vector_stores.files.create_and_poll(
            await uploaded(client, "lakes.md", LAKES),
            vector_store_id=store.id,
            attributes={"year": 1999, "kind": "lake"},
        )
        found = await client.vector_stores.search(store.id, query="Where does the Danube rise?")
        assert [(hit.file_id, hit.filename) for hit in found.data] == [(file.id, "rivers.txt")]
        assert found.data[0].content[0].text == RIVERS.strip()
        assert 0.5 < found.data[0].score <= 1
        found = await client.vector_stores.search(store.id, query=["Danube", "Which countries meet at the lake?"])
        assert {hit.file_id: hit.attributes for hit in found.data} == {
            file.id: {},
            lakes.id: {"year": 1999, "kind": "lake"},
        }
        content = await client.vector_stores.files.content(file.id, vector_store_id=store.id)
        assert [part.text for part in content.data] == [RIVERS]
        assert (await client.vector_stores.files.delete(file.id, vector_store_id=store.id)).deleted
        assert (await client.vector_stores.search(store.id, query="Danube")).data == []
        assert (await client.files.retrieve(file.id)).filename == "rivers.txt"
        assert (await client.vector_stores.delete(store.id)).object == "vector_store.deleted"
        with pytest.raises(openai.NotFoundError, match="No vector store found"):
            await client.vector_stores.retrieve(store.id)


async def test_vector_stores_are_listed_in_pages() -> None:
    async with live_server() as live, client_of(live) as client:
        made = [(await client.vector_stores.create(name=name)).id for name in "abc"]
        first = await client.vector_stores.list(order="asc", limit=2)
        assert ([store.id for store in first.data], first.has_more) == (made[:2], True)
        assert [store.id async for store in client.vector_stores.list(limit=2)] == made[::-1]
        with pytest.raises(openai.BadRequestError, match="Invalid 'after'"):
            await client.vector_stores.list(after="vs_" + "x" * 24)


async def test_batches_are_read_listed_and_filtered() -> None:
    async with live_server() as live, client_of(live) as client:
        store = await client.vector_stores.create()
        good = [await uploaded(client, f"{name}.txt", f"A text about {name}.") for name in ("owls", "elks")]
        bad = await uploaded(client, "picture.png", b"\x89PNG\0\0\0\x01")
        batch = await client.vector_stores.file_batches.create_and_poll(
            store.id, file_ids=[*good, bad], attributes={"a": 1}
        )
        assert batch.status == "completed"
        assert batch.file_counts.model_dump() == {
            "in_progress": 0, "completed": 2, "failed": 1, "cancelled": 0, "total": 3,
        }  # fmt: skip
        files = client.vector_stores.file_batches
        failed = [file async for file in files.list_files(batch.id, vector_store_id=store.id, filter="failed")]
        assert [(file.id, file.last_error and file.last_error.code) for file in failed] == [(bad, "unsupported_file")]
        pages = client.vector_stores.files.list(store.id, order="asc", limit=1)
        assert [file.id async for file in pages] == [*good, bad]
        store = await client.vector_stores.retrieve(store.id)
        assert (store.status, store.file_counts.failed, store.usage_bytes) == ("completed", 1, 36)
        batch = await client.vector_stores.file_batches.create(
            store.id, files=[{"file_id": good[0], "attributes": {"kind": "bird"}}]
        )
        await client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id)
        bird: Any = {"type": "and", "filters": [{"type": "eq", "key": "kind", "value": "bird"}]}
        found = await client.vector_stores.search(store.id, query="text", filters=bird)
        assert [hit.file_id for hit in found.data] == good[:1]
        await client.vector_stores.files.update(good[1], vector_store_id=store.id, attributes={"year": 2000})
        old: Any = {"type": "lt", "key": "year", "value": 2001}
        found = await client.vector_stores.search(store.id, query="text", filters=old)
        assert [hit.file_id for hit in found.data] == good[1:]
        assert (await client.vector_stores.search(store.id, query="text owls", max_num_results=1)).data[0].file_id == (
            good[0]
        )
        with pytest.raises(openai.BadRequestError, match="it has ended"):
            await client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)


async def test_a_batch_in_progress_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ingestion, "run", lambda self: trio.sleep_forever())
    async with live_server(data_dir=str(tmp_path)) as live, client_of(live) as client:
        store = await client.vector_stores.create()
        file = await uploaded(client, "a.txt", "A text.")
        batches = client.vector_stores.file_batches
        made = await batches.create(store.id, file_ids=[file])
        assert (made.status, made.file_counts.in_progress) == ("in_progress", 1)
        for answer in (
            await batches.cancel(made.id, vector_store_id=store.id),
            await batches.cancel(made.id, vector_store_id=store.id),
            await batches.retrieve(made.id, vector_store_id=store.id),
        ):
            assert (answer.id, answer.status, answer.file_counts.cancelled) == (made.id, "cancelled", 1)


async def test_a_deleted_file_leaves_every_vector_store(tmp_path: Path) -> None:
    async with live_server(data_dir=str(tmp_path)) as live, client_of(live) as client:
        first = await uploaded(client, "a.txt", "A secret about zebras.")
        stores = [await client.vector_stores.create(file_ids=[first]) for _ in range(2)]
        other = await uploaded(client, "b.txt", "Nothing about them.")
        for store in stores:
            await client.vector_stores.files.create_and_poll(other, vector_store_id=store.id)
            assert (await client.vector_stores.search(store.id, query="zebras")).data
        await client.files.delete(first)
        for store in stores:
            assert [file.id async for file in client.vector_stores.files.list(store.id)] == [other]
            assert (await client.vector_stores.search(store.id, query="zebras")).data == []
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"zebra" in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days"),
        ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        (static(99, 0), "chunking_strategy.static.max_chunk_size_tokens"),
        (static(100, 51), "chunking_strategy.static.chunk_overlap_tokens"),
        ({"chunking_strategy": {"type": "odd"}}, "chunking_strategy.type"),
        ({"file_ids": ["file-a"] * 501}, "file_ids"),
        ({"metadata": {"a": "b" * 513}}, "metadata.a"),
    ],
)  # fmt: skip
async def test_a_wrong_vector_store_is_refused(values: Any, param: str) -> None:
    async with live_server() as live, client_of(live) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.vector_stores.create(**values)
        assert caught.value.param == param
        assert [store async for store in client.vector_stores.list()] == []


async def test_unknown_files_and_filters_are_refused() -> None:
    async with live_server() as live, client_of(live) as client:
        store = await client.vector_stores.create()
        with pytest.raises(openai.NotFoundError, match="No file found with id 'file-x'"):
            await client.vector_stores.files.create(store.id, file_id="file-x")
        wrong: Any = {"type": "like", "key": "a", "value": 1}
        with pytest.raises(openai.BadRequestError) as caught:
            await client.vector_stores.search(store.id, query="a", filters=wrong)
        assert caught.value.param == "filters.type"
        with pytest.raises(openai.BadRequestError, match="empty string"):
            await client.vector_stores.search(store.id, query="")


async def test_attachments_and_tool_resources_make_vector_stores() -> None:
    async with live_server() as live, client_of(live) as client:
        file = await uploaded(client, "a.txt", "The password of the cellar is mushroom.")
        other = await uploaded(client, "b.txt", "The attic has no password.")
        attachment: Any = {"file_id": file, "tools": [{"type": "file_search"}]}
        beta: Any = client.beta
        thread = await beta.threads.create(messages=[{"role": "user", "content": "Hi", "attachments": [attachment]}])
        [store_id] = thread.tool_resources.file_search.vector_store_ids
        store = await client.vector_stores.retrieve(store_id)
        assert store.expires_after is not None
        assert (store.expires_after.days, store.file_counts.total) == (7, 1)
        message = await beta.threads.messages.create(
            thread.id, role="user", content="And?", attachments=[{"file_id": other, "tools": [{"type": "file_search"}]}]
        )
        assert [one.file_id for one in message.attachments] == [other]
        assert (await client.vector_stores.retrieve(store_id)).file_counts.total == 2
        empty = await beta.threads.create()
        await beta.threads.messages.create(empty.id, role="user", content="And?", attachments=[attachment])
        resources = (await beta.threads.retrieve(empty.id)).tool_resources
        assert len(resources.file_search.vector_store_ids) == 1
        assistant = await beta.assistants.create(
            model="fake-model", tools=[{"type": "file_search"}],
            tool_resources={"file_search": {"vector_stores": [{"file_ids": [file]}]}},
        )  # fmt: skip
        [store_id] = assistant.tool_resources.file_search.vector_store_ids
        assert (await client.vector_stores.retrieve(store_id)).expires_after is None
        with pytest.raises(openai.NotFoundError, match="No vector store found"):
            await beta.threads.update(thread.id, tool_resources={"file_search": {"vector_store_ids": ["vs_x"]}})
        code = {"file_id": file, "tools": [{"type": "code_interpreter"}]}
        with pytest.raises(openai.BadRequestError, match="does not run code") as caught:
            await beta.threads.messages.create(thread.id, role="user", content="Run", attachments=[code])
        assert caught.value.param == "attachments[0].tools[0].type"


async def test_a_refused_request_leaves_no_vector_store() -> None:
    async with live_server(FakeEngine(n_ctx=8192)) as live, client_of(live) as client:
        beta: Any = client.beta
        file = await uploaded(client, "a.txt", "The cellar is damp.")
        new = {"file_search": {"vector_stores": [{"file_ids": [file]}]}}
        message: Any = {"role": "user", "content": "Hi"}
        message |= {"attachments": [{"file_id": file, "tools": [{"type": "file_search"}]}]}
        with pytest.raises(openai.NotFoundError):
            await beta.assistants.update("asst_x", tool_resources=new)
        with pytest.raises(openai.NotFoundError):
            await beta.threads.update("thread_x", tool_resources=new)
        with pytest.raises(openai.NotFoundError):
            await beta.threads.messages.create("thread_x", **message)
        assistant = await beta.assistants.create(model="fake-model")
        both = {"file_search": new["file_search"] | {"vector_store_ids": ["vs_x"]}}
        with pytest.raises(openai.BadRequestError, match="both"):
            await beta.threads.create_and_run(
                assistant_id=assistant.id, thread={"messages": [message]}, tool_resources=both
            )
        assert [store async for store in client.vector_stores.list()] == []


async def test_a_full_queue_leaves_no_vector_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oxillama.assistants.service.MAX_RUNS", 0)
    async with live_server(FakeEngine(n_ctx=8192)) as live, client_of(live) as client:
        beta: Any = client.beta
        new = {"file_search": {"vector_stores": [{"file_ids": [await uploaded(client, "a.txt", "Damp.")]}]}}
        assistant = await beta.assistants.create(model="fake-model")
        with pytest.raises(openai.RateLimitError):
            await beta.threads.create_and_run(
                assistant_id=assistant.id, thread={"tool_resources": new}, tool_resources=new
            )
        assert [store async for store in client.vector_stores.list()] == []


async def test_files_of_a_message_that_waits_for_a_run_are_searched_too() -> None:
    engine = FakeEngine(n_ctx=8192, delay_s=0.01)
    async with live_server(engine, queue_runs=True) as live, client_of(live) as client:
        beta: Any = client.beta
        attached = [
            {"file_id": await uploaded(client, name, "Damp."), "tools": [{"type": "file_search"}]} for name in "ab"
        ]
        assistant = await beta.assistants.create(model="fake-model")
        thread = await beta.threads.create(messages=[{"role": "user", "content": "Hi"}])
        runs = []
        for attachments in ([], attached[:1]):
            message = {"role": "user", "content": "And?", "attachments": attachments}
            runs.append(
                await beta.threads.runs.create(thread.id, assistant_id=assistant.id, additional_messages=[message])
            )
        await beta.threads.messages.create(thread.id, role="user", content="And?", attachments=attached[1:])
        assert (await beta.threads.runs.retrieve(runs[1].id, thread_id=thread.id)).status == "completed"
        [store_id] = (await beta.threads.retrieve(thread.id)).tool_resources.file_search.vector_store_ids
        files = [file.id async for file in client.vector_stores.files.list(store_id, order="asc")]
        assert files == [one["file_id"] for one in attached]


async def test_attached_files_exist_whether_or_not_a_tool_may_use_them() -> None:
    async with live_server() as live, client_of(live) as client:
        beta: Any = client.beta
        thread = await beta.threads.create()
        tools: Any
        for tools in ({}, {"tools": []}, {"tools": [{"type": "file_search"}]}):
            message = {"role": "user", "content": "Hi", "attachments": [{"file_id": "file-x"} | tools]}
            with pytest.raises(openai.NotFoundError, match="No file found with id 'file-x'"):
                await beta.threads.messages.create(thread.id, **message)
            with pytest.raises(openai.NotFoundError, match="No file found with id 'file-x'"):
                await beta.threads.create(messages=[message])
        assert [message async for message in beta.threads.messages.list(thread.id)] == []


async def test_what_was_in_progress_is_read_after_a_restart(tmp_path: Path) -> None:
    data = str(tmp_path)
    async with live_server(data_dir=data) as live, client_of(live) as client:
        file = await uploaded(client, "a.txt", "Otters hold hands while they sleep. " * 2000)
        store = await client.vector_stores.create(file_ids=[file])
        assert store.status == "in_progress"
    async with live_server(data_dir=data) as live, client_of(live) as client:
        read = await client.vector_stores.files.poll(file, vector_store_id=store.id)
        assert (read.status, read.last_error) == ("completed", None)
        found = await client.vector_stores.search(store.id, query="otters", max_num_results=50)
        content = await client.vector_stores.files.content(file, vector_store_id=store.id)
        places = [hit.content[0].text for hit in found.data]
        assert len(places) > 10
        assert content.data[0].text == "Otters hold hands while they sleep. " * 2000


async def test_a_lost_or_damaged_index_is_made_again(tmp_path: Path) -> None:
    async with live_server(data_dir=str(tmp_path)) as live, client_of(live) as client:
        store = await client.vector_stores.create(file_ids=[await uploaded(client, "a.txt", "A tale of badgers.")])
        for damage in (b"nonsense" * 1000, b""):
            with trio.fail_after(30):
                while not (await client.vector_stores.search(store.id, query="badgers")).data:
                    await trio.sleep(0.05)
            next(tmp_path.rglob("index.db")).write_bytes(damage)
        with trio.fail_after(30):
            while not (await client.vector_stores.search(store.id, query="badgers")).data:
                await trio.sleep(0.05)


async def test_a_run_cites_the_file_that_was_just_attached() -> None:
    reply = "It rises in a forest 【0:0†rivers.txt】."
    async with live_server(FakeEngine(reply=reply, n_ctx=8192)) as live, client_of(live) as client:
        beta: Any = client.beta
        file = await uploaded(client, "rivers.txt", RIVERS)
        assistant = await beta.assistants.create(model="fake-model", tools=[{"type": "file_search"}])
        attachment = {"file_id": file, "tools": [{"type": "file_search"}]}
        thread = await beta.threads.create(
            messages=[{"role": "user", "content": "Where does the Danube rise?", "attachments": [attachment]}]
        )
        run = await beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=50
        )
        assert (run.status, run.last_error) == ("completed", None)
        text = (await beta.threads.messages.list(thread.id)).data[0].content[0].text
        [citation] = text.annotations
        assert citation.file_citation.file_id == file
        assert text.value[citation.start_index : citation.end_index] == citation.text == "【0:0†rivers.txt】"
        include: Any = ["step_details.tool_calls[*].file_search.results[*].content"]
        steps = await beta.threads.runs.steps.list(run.id, thread_id=thread.id, include=include)
        [search] = [step for step in steps.data if step.type == "tool_calls"]
        [result] = search.step_details.tool_calls[0].file_search.results
        assert (result.file_id, result.file_name) == (file, "rivers.txt")
        assert result.content[0].text == RIVERS.strip()
