"""Threads, assistants and files go from one data directory to another, and come from the hosted API, as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from oxillama.cli.app import app
from oxillama.errors import InvalidParameterError, StoreError
from oxillama.files.records import StoredFile
from oxillama.storage.ids import new_id
from oxillama.transfer.incoming import Import
from oxillama.transfer.opened import Opened, with_data
from oxillama.transfer.outgoing import Export
from oxillama.transfer.values import Values
from tests.support.assistants_api import Api, api_over
from tests.support.cli import oxillama

IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}}


def lines(path: Path, *values: Any) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


async def everything(api: Api, threads: list[str]) -> dict[str, Any]:
    """All that the API answers about a directory."""
    found: dict[str, Any] = {"assistants": await api.get("/assistants", order="asc", limit=100)}
    stores = await api.get("/vector_stores", order="asc")
    for one in stores["data"]:
        path = f"/vector_stores/{one['id']}/files"
        members = await api.get(path, order="asc")
        while any(member["status"] == "in_progress" for member in members["data"]):
            await trio.sleep(0.02)
            members = await api.get(path, order="asc")
        found[path] = members
    found["vector stores"] = await api.get("/vector_stores", order="asc")
    found["files"] = await api.get("/files", order="asc")
    for file in found["files"]["data"]:
        found[file["id"]] = (await api.client.get(f"/v1/files/{file['id']}/content")).body
    for thread in threads:
        found[thread] = await api.get(f"/threads/{thread}")
        found[f"{thread} messages"] = await api.get(f"/threads/{thread}/messages", order="asc", limit=100)
    return found


async def imported(file: Path, directory: Path, contents: Path | None = None) -> tuple[dict[str, int], dict[str, int]]:
    """What was stored, and what was left out."""

    def work() -> Import:
        with file.open("rb") as stream:
            made = Import(Values(file, stream), contents)
            made.check()
            with_data(directory, made.into)
        return made

    made = await trio.to_thread.run_sync(work)
    return dict(made.done), dict(made.left)


async def exported(file: Path, directory: Path) -> dict[str, int]:
    def work() -> Export:
        with file.open("wb") as out:
            made = Export(out)
            with_data(directory, made.write)
        return made

    return dict((await trio.to_thread.run_sync(work)).done)


def add_files(opened: Opened) -> None:
    files = opened.files
    contents = {"a b.bin": bytes(range(256)) * 9000, "notes.txt": "Über alle Flüsse.".encode(), "empty": b""}
    for name, data in contents.items():
        file = StoredFile(
            id=new_id("file", separator="-"), created_at=files.now(), filename=name, purpose="vision", bytes=len(data)
        )
        content = files.begin(file.id)
        content.write(data)
        files.finish(file, content)


async def test_everything_is_the_same_in_another_directory(tmp_path: Path) -> None:
    old, new, out = tmp_path / "old", tmp_path / "new", tmp_path / "all.jsonl"
    await trio.to_thread.run_sync(with_data, old, add_files)
    async with api_over(old) as api:
        assistants = [await api.assistant(name=f"n{n}", metadata={"k": "é🙂"}) for n in range(3)]
        threads = [await api.thread("one", "two"), await api.thread()]
        parts = {"role": "user", "content": [{"type": "text", "text": "Hi"}, IMAGE], "metadata": {"a": "b"}}
        await api.post(f"/threads/{threads[1]}/messages", parts)
        run = {"assistant_id": assistants[0], "stream": True}
        await api.events(f"/threads/{threads[0]}/runs", run)
        _, text, _ = (await api.get("/files", order="asc"))["data"]
        body = {"file_ids": [text["id"]], "name": "s", "expires_after": {"anchor": "last_active_at", "days": 3},
                "chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 100,
                                                                   "chunk_overlap_tokens": 10}}}  # fmt: skip
        await api.post("/vector_stores", body)
        before = await everything(api, threads)
    done = {"assistants": 3, "files": 3, "vector stores": 1, "threads": 2, "messages": 4}
    assert await exported(out, old) == done
    assert await imported(out, new) == (done, {})
    again, left = await imported(out, new)
    assert (again, sum(left.values())) == ({}, 9)
    async with api_over(new) as api:
        assert await everything(api, threads) == before
        await api.post(f"/threads/{threads[0]}/messages", {"role": "user", "content": "more"})


HOSTED_THREAD = "thread_abcdefghijklmnopqrstuvwx"


def hosted(number: int, created_at: int) -> dict[str, Any]:
    """A message as the hosted API lists it: without a status, and with fields of its own."""
    return {
        "id": f"msg_{number:024}",
        "object": "thread.message",
        "created_at": created_at,
        "assistant_id": None,
        "thread_id": HOSTED_THREAD,
        "run_id": None,
        "role": "user",
        "content": [{"type": "text", "text": {"value": str(number), "annotations": []}}],
        "attachments": None,
        "metadata": {},
        "something_new": 1,
    }


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("times", [[10, 20, 30, 40], [10, 10, 10, 10], [10, 10, 20, 20]])
async def test_pages_of_the_hosted_api_are_read_as_they_are(
    tmp_path: Path, indent: int | None, times: list[int]
) -> None:
    messages = [hosted(n, 1_700_000_000 + at) for n, at in enumerate(times)][::-1]  # newest first, as lists are
    assistant = {"id": "asst_" + "a" * 24, "object": "assistant", "created_at": 1_650_000_000, "name": None,
                 "description": None, "model": "gpt-4o", "instructions": "Be brief.", "tools": [], "top_p": None,
                 "temperature": None, "response_format": None, "metadata": None, "tool_resources": None}  # fmt: skip
    pages = [{"object": "list", "data": [assistant], "first_id": assistant["id"], "has_more": False}]
    pages += [{"object": "list", "data": messages[:2], "has_more": True}, {"object": "list", "data": messages[2:]}]
    file = tmp_path / "pages.jsonl"
    file.write_text("\n\n".join(json.dumps(page, indent=indent) for page in pages), encoding="utf-8")
    await imported(file, tmp_path / "data")
    async with api_over(tmp_path / "data", model_alias=("gpt-4o",)) as api:
        found = (await api.get(f"/threads/{HOSTED_THREAD}/messages", order="asc"))["data"]
        assert [m["content"][0]["text"]["value"] for m in found] == ["0", "1", "2", "3"]
        assert [m["created_at"] - 1_700_000_000 for m in found] == times
        assert {m["status"] for m in found} == {"completed"}
        kept = await api.get(f"/assistants/{assistant['id']}")
        assert (kept["created_at"], kept["model"], kept["metadata"]) == (1_650_000_000, "gpt-4o", {})
        assert kept["response_format"] == "auto"
        run = {"assistant_id": assistant["id"], "stream": True}
        assert (await api.events(f"/threads/{HOSTED_THREAD}/runs", run))[-2][0] == "thread.run.completed"


async def test_the_bytes_of_files_are_found_in_a_folder(tmp_path: Path) -> None:
    ids = [f"file-{letter * 24}" for letter in "abc"]
    names = ["x.txt", "y.txt", "z.txt"]
    (tmp_path / ids[0]).write_bytes(b"one")
    (tmp_path / "y.txt").write_bytes(b"two")
    values = [
        {"id": i, "object": "file", "created_at": 1_700_000_000, "bytes": 3, "filename": n, "purpose": "assistants"}
        for i, n in zip(ids, names, strict=True)
    ]
    file = lines(tmp_path / "files.jsonl", *values)
    done = await imported(file, tmp_path / "data", tmp_path)
    assert done == ({"files": 2}, {"files without their bytes": 1})
    assert (tmp_path / "data/files" / ids[1] / "content").read_bytes() == b"two"
    (tmp_path / "z.txt").write_bytes(b"too long")
    with pytest.raises(InvalidParameterError, match="has 3 bytes, but 8 were found"):
        await imported(file, tmp_path / "data", tmp_path)


MESSAGE = hosted(1, 1_700_000_000)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("\n{", 2, "it is cut off"),
        ('{"object": "thread"', 1, "it is not JSON"),
        ("nonsense", 1, "it is not JSON"),
        ("[1]", 1, "it is not an object of the API"),
        ("{}", 1, "no 'object'"),
        ('{"object": "thread", "id": "x"}', 1, "'x' is not an id that begins with 'thread'"),
        (json.dumps(MESSAGE) + "\n" + json.dumps(MESSAGE | {"role": "system"}), 2, "Invalid enum value 'system'"),
        (json.dumps(MESSAGE | {"thread_id": "../x"}), 1, "'../x' is not an id"),
        (json.dumps(MESSAGE | {"created_at": None}), 1, "missing required field `created_at`"),
        ('{"object": "file.content", "file_id": "x", "data": "?"}', 1, "not base64"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line_and_nothing_is_stored(
    tmp_path: Path, text: str, line: int, why: str
) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(text, encoding="utf-8")
    with file.open("rb") as stream, pytest.raises(InvalidParameterError) as caught:
        Import(Values(file, stream)).check()
    assert str(caught.value).startswith(f"{file}, line {line}: ")
    assert why in str(caught.value)


def test_objects_of_other_kinds_are_counted(tmp_path: Path) -> None:
    with lines(tmp_path / "x.jsonl", {"object": "thread.run", "id": "run_x"}).open("rb") as stream:
        work = Import(Values(tmp_path, stream))
        work.check()
    assert dict(work.left) == {"objects of the kind 'thread.run', which are not imported": 1}


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = lines(tmp_path / "in.jsonl", MESSAGE), tmp_path / "out.jsonl"
    data = ["--data-dir", str(tmp_path / "data")]
    app(["import-threads", str(file), *data], standalone_mode=False)
    assert capsys.readouterr().out == "imported 1 threads, 1 messages\n"
    app(["export-threads", str(out), "--json", *data], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == {"exported": {"threads": 1, "messages": 1}}
    kinds = [json.loads(line)["object"] for line in out.read_text().splitlines()]
    assert kinds == ["thread", "thread.message"]


def test_an_export_that_fails_leaves_the_file_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(work: Export, data: Opened) -> None:
        work._line("threads", {"object": "thread"})
        raise StoreError("a failing disk")

    out = tmp_path / "out.jsonl"
    out.write_text("the export before")
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(Export, "write", fail)
    with pytest.raises(SystemExit, match="1"):
        app(["export-threads", str(out), "--data-dir", str(tmp_path / "data")], standalone_mode=False)
    assert out.read_text() == "the export before"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "out.jsonl"}


@pytest.mark.slow
def test_what_comes_through_a_pipe_is_imported(tmp_path: Path) -> None:
    text = json.dumps(MESSAGE).encode()
    done = oxillama("import-threads", "-", "--data-dir", tmp_path / "data", stdin=text)
    assert done.stdout == b"imported 1 threads, 1 messages\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["import-threads", "export-threads"])
async def test_a_directory_that_a_server_has_open_is_left_alone(tmp_path: Path, command: str) -> None:
    file = lines(tmp_path / "x.jsonl")
    async with api_over(tmp_path / "data"):
        done = oxillama(command, file, "--data-dir", tmp_path / "data")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"in use" in done.stderr


@pytest.mark.slow
def test_a_directory_that_is_not_there_is_not_exported(tmp_path: Path) -> None:
    done = oxillama("export-threads", tmp_path / "x.jsonl", "--data-dir", tmp_path / "none")
    assert done.returncode == 1
    assert not (tmp_path / "none").exists()
