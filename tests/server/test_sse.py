"""Server-sent events in the format that official clients read."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import pytest
import trio

from oxillama.server.config import ServerConfig
from oxillama.server.http import sse
from oxillama.server.observe.log import make_logger
from oxillama.server.wire.errors import APIError, bad_request

LOG = make_logger(ServerConfig(log_level="error"))


def number(item: int) -> bytes:
    if item < 0:
        raise bad_request("negative")
    return b"" if item == 0 else b"%d;" % item


async def parts(items: list[int]) -> AsyncGenerator[bytes, None]:
    send, receive = trio.open_memory_channel[int](100)
    for item in items:
        send.send_nowait(item)
    send.close()
    async for part in sse.with_pings(receive, 5, number):
        yield part


async def collect(source: AsyncGenerator[bytes, None], seen: list[bytes]) -> None:
    async for part in source:
        seen.append(part)


async def test_items_that_are_ready_are_sent_together() -> None:
    assert [part async for part in parts([1, 2, 0, 3])] == [b"1;2;3;"]


async def test_items_before_an_error_are_sent_before_it() -> None:
    seen: list[bytes] = []
    with pytest.raises(APIError, match="negative"):
        await collect(parts([1, 2, -1]), seen)
    assert seen == [b"1;2;"]


async def test_silence_is_filled_with_comments_at_the_interval(autojump_clock: trio.testing.MockClock) -> None:
    seen: list[bytes] = []
    send, receive = trio.open_memory_channel[int](1)
    send.send_nowait(1)
    with trio.move_on_after(17):
        async for part in sse.with_pings(receive, 5, number):
            seen.append(part)
    assert seen == [b"1;", sse.PING, sse.PING, sse.PING]


@pytest.mark.parametrize("name", [None, "thread.run.created"])
def test_an_event_is_one_data_line_with_any_content(name: str | None) -> None:
    text = "a\nb\r\n\u2028: c\n\ndata: x"
    *head, data = sse.event({"text": text}, name).removesuffix(b"\n\n").split(b"\n")
    assert head == ([] if name is None else [b"event: thread.run.created"])
    assert json.loads(data.removeprefix(b"data: ")) == {"text": text}
    assert b"\r" not in data


async def test_a_failure_becomes_the_last_event() -> None:
    async def events() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        raise bad_request("no", param="x", code="y")

    found = [part async for part in sse.ended_by_error(events(), LOG)]
    assert json.loads(found[-1].removeprefix(b"data: "))["error"] == {
        "message": "no",
        "type": "invalid_request_error",
        "param": "x",
        "code": "y",
    }
