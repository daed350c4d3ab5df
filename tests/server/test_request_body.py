"""A request's body while it arrives: whole or in parts, and never more than the limit."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from werkzeug.exceptions import RequestEntityTooLarge

from oxillama.server.http.body import RequestBody


async def test_a_body_is_readable_when_it_is_complete() -> None:
    body = RequestBody(None, 10)
    read: list[bytes] = []

    async def reader() -> None:
        read.append(await body)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        for part in (b"ab", b"", b"cd"):
            body.append(part)
            await trio.testing.wait_all_tasks_blocked()
            assert read == []
        body.set_complete()
    assert read == [b"abcd"]
    assert await body == b"abcd"


async def test_parts_are_iterated_as_they_come() -> None:
    body = RequestBody(None, None)
    parts: list[bytes] = []

    async def reader() -> None:
        async for part in body:
            parts.append(part)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        for part in (b"ab", b"cd"):
            body.append(part)
            await trio.testing.wait_all_tasks_blocked()
        assert parts == [b"ab", b"cd"]
        body.append(b"ef")
        body.set_complete()
    assert parts == [b"ab", b"cd", b"ef"]


async def test_a_body_without_a_length_is_refused_at_the_limit_before_it_is_complete() -> None:
    body = RequestBody(None, 10)
    body.append(b"x" * 10)
    body.append(b"x")
    with trio.fail_after(1), pytest.raises(RequestEntityTooLarge):
        await body
    for _ in range(1000):
        body.append(b"x" * 1000)
    assert len(body._data) == 0
    with pytest.raises(RequestEntityTooLarge):
        await anext(body)


async def test_a_length_over_the_limit_is_refused_before_anything_arrives() -> None:
    body = RequestBody(11, 10)
    with trio.fail_after(1), pytest.raises(RequestEntityTooLarge):
        await body
