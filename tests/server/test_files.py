"""/v1/files and /v1/uploads through the official client and over plain sockets."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import openai
import pytest
import trio

from tests.server.test_client import client_of
from tests.support.live_server import live_server

DATA = bytes(range(256)) * 9000  # more than one part of a body
EXPIRES: Any = {"anchor": "created_at", "seconds": 3600}


async def test_a_file_is_stored_listed_downloaded_and_deleted() -> None:
    async with live_server() as live, client_of(live) as client:
        file = await client.files.create(file=("dir/Ein Brief é.bin", DATA), purpose="assistants")
        assert (file.bytes, file.filename, file.purpose, file.status) == (
            len(DATA),
            "Ein Brief é.bin",
            "assistants",
            "processed",
        )
        assert await client.files.retrieve(file.id) == file
        assert (await client.files.content(file.id)).content == DATA
        assert [f.id async for f in client.files.list()] == [file.id]
        assert (await client.files.delete(file.id)).deleted
        assert [f async for f in client.files.list()] == []
        with pytest.raises(openai.NotFoundError, match="No such File object") as caught:
            await client.files.content(file.id)
        assert caught.value.param == "id"


async def test_files_are_listed_by_purpose_newest_first_and_in_pages() -> None:
    async with live_server() as live, client_of(live) as client:
        ids = [(await client.files.create(file=b"x", purpose=p)).id for p in ("batch", "vision", "batch")]
        assert [f.id async for f in client.files.list(purpose="batch")] == [ids[2], ids[0]]
        assert [f.id async for f in client.files.list(order="asc", limit=1)] == ids
        assert (await client.files.retrieve(ids[0])).expires_at is not None


async def test_an_upload_in_parts_becomes_a_file() -> None:
    async with live_server() as live, client_of(live) as client:
        file = await client.uploads.upload_file_chunked(
            file=DATA, filename="big.bin", bytes=len(DATA), mime_type="application/octet-stream",
            purpose="user_data", part_size=1_000_000,
        )  # fmt: skip
        assert file.status == "completed"
        assert file.file is not None
        assert (await client.files.content(file.file.id)).content == DATA
        other = await client.uploads.create(bytes=1, filename="a", mime_type="text/plain", purpose="batch")
        assert (await client.uploads.cancel(other.id)).status == "cancelled"
        with pytest.raises(openai.BadRequestError, match="cancelled"):
            await client.uploads.parts.create(other.id, data=b"x")


async def test_what_a_form_lacks_is_named() -> None:
    async with live_server(max_file=2000) as live, client_of(live) as client:
        for values, param in (
            ({"purpose": "nonsense"}, "purpose"),
            ({"purpose": "vision", "expires_after": EXPIRES | {"seconds": 5}}, "expires_after.seconds"),
            ({"purpose": "vision", "expires_after": EXPIRES | {"anchor": "now"}}, "expires_after.anchor"),
        ):
            with pytest.raises(openai.BadRequestError) as caught:
                await client.files.create(file=b"x", **values)
            assert caught.value.param == param
        with pytest.raises(openai.APIStatusError) as too_large:
            await client.files.create(file=b"x" * 2001, purpose="vision")
        assert too_large.value.status_code == 413
        with pytest.raises(openai.BadRequestError, match="<= 2000, but got 2001"):
            await client.uploads.create(bytes=2001, filename="a", mime_type="text/plain", purpose="batch")
        assert [f async for f in client.files.list()] == []
        assert (await client.files.create(file=b"x" * 2000, purpose="vision", expires_after=EXPIRES)).bytes == 2000


def form(*parts: tuple[str, str | None, bytes]) -> bytes:
    text = b""
    for name, filename, data in parts:
        extra = "" if filename is None else f'; filename="{filename}"'
        text += f'--B\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + data + b"\r\n"
    return text + b"--B--\r\n"


def posted(body: bytes, content_type: str = "multipart/form-data; boundary=B") -> bytes:
    head = f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (posted(form(("purpose", None, b"vision"))), 400),
        (posted(form(("file", "a", b"x"))), 400),
        (posted(form(("file", "a", b"x"), ("file", "b", b"y"), ("purpose", None, b"vision"))), 400),
        (posted(form(("other", "a", b"x"), ("purpose", None, b"vision"))), 400),
        (posted(form(("purpose", None, b"x" * 70_000), ("file", "a", b"x"))), 400),
        (posted(form(*[("x", None, b"y")] * 70)), 400),
        (posted(b"--B\r\nnonsense"), 400),
        (posted(b"no form at all"), 400),
        (posted(b"{}", "application/json"), 415),
        (posted(b"x", "multipart/form-data"), 415),
        (posted(form(("file", "a", b"x" * 3_000_000), ("purpose", None, b"vision"))), 413),
    ],
)
async def test_a_malformed_form_is_refused_and_leaves_nothing(request_: bytes, status: int, tmp_path: Path) -> None:
    async with live_server(max_file=100_000, data_dir=str(tmp_path)) as live:
        answer = await live.ask(request_)
        assert answer.status == status
        assert b'"error"' in answer.body
    assert os.listdir(tmp_path / "files") == []


async def test_a_client_that_leaves_in_the_middle_of_a_file_leaves_nothing(tmp_path: Path) -> None:
    async with live_server(data_dir=str(tmp_path)) as live:
        body = form(("purpose", None, b"vision"), ("file", "a", b"x" * 3_000_000))
        async with await live.connect() as client:
            await client.send(posted(body)[: len(body) // 2])
            with trio.fail_after(60):
                while not os.listdir(tmp_path / "files"):
                    await trio.sleep(0.01)
    assert os.listdir(tmp_path / "files") == []


async def test_a_form_that_trickles_is_given_up_although_no_pause_is_long() -> None:
    async with live_server(body_timeout=0.3) as live, await live.connect() as client:
        body = form(("purpose", None, b"vision"), ("file", "a", b"x" * 20_000))
        await client.send(posted(body)[: -len(body)])
        answered = trio.Event()

        async def trickle() -> None:
            for byte in body:
                if answered.is_set():
                    return
                with contextlib.suppress(trio.BrokenResourceError):
                    await client.send(bytes([byte]))
                await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            assert (await client.answer()).status == 408
            answered.set()


async def test_a_file_needs_the_key_before_it_is_read() -> None:
    async with live_server(api_keys=["key"]) as live:
        assert (await live.ask(posted(form(("file", "a", b"x" * 3_000_000))))).status == 401
