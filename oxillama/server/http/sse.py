"""Server-sent events: the framing official clients can read, keep-alives, and errors after the first byte.

Clients break on an `id:` line and on an event without data, so neither is ever written; keep-alives are comments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import trio
from quart import Response

from oxillama.server.observe.record import current_record
from oxillama.server.wire.errors import APIError, api_error, server_fault

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from structlog.typing import FilteringBoundLogger

    from oxillama.server.observe.record import RequestRecord

T = TypeVar("T")

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
LARGEST_PART = 16 * 1024  # bytes
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_encode = msgspec.json.Encoder().encode


def event(data: Any, name: str | None = None) -> bytes:
    """One event. JSON has no line breaks, so one `data:` line always holds it."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + _encode(data) + b"\n\n"


def error_event(error: APIError, name: str | None = None) -> bytes:
    """An error after the first byte: every official client raises it as APIError."""
    return event(error.envelope(), name)


async def with_pings(
    source: trio.abc.ReceiveChannel[T], interval: float, render: Callable[[T], bytes]
) -> AsyncGenerator[bytes, None]:
    """Each item as `render` writes it (nothing, if that is empty), and a ping after `interval` seconds without an item.

    Items that are ready in a memory channel are sent together, so that a loop that is behind catches up.
    """
    while True:
        data = b""
        with trio.move_on_after(interval) as silence:
            try:
                data = render(await source.receive())
            except trio.EndOfChannel:
                return
        if silence.cancelled_caught:
            yield PING
            continue
        try:
            while isinstance(source, trio.MemoryReceiveChannel) and len(data) < LARGEST_PART:
                data += render(source.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            pass
        except BaseException:
            if data:
                yield data  # what came before the error
            raise
        if data:
            yield data


def ended_by_error(
    events: AsyncGenerator[bytes, None], log: FilteringBoundLogger, name: str | None = None
) -> AsyncGenerator[bytes, None]:
    """`events`. If they fail, the last event is the error, so that a client can tell a failure from an end.

    Called while the request is handled. The stream is read later, when Quart's `request` no longer exists.
    """
    return _ended_by_error(events, log, name, current_record())


async def _ended_by_error(
    events: AsyncGenerator[bytes, None], log: FilteringBoundLogger, name: str | None, record: RequestRecord
) -> AsyncGenerator[bytes, None]:
    try:
        async for data in events:
            yield data
    except Exception as error:
        shown = api_error(error)
        if shown is None:
            log.exception("stream failed")
            shown = server_fault()
        record.failed(shown.code, shown.param)
        yield error_event(shown, name)
    finally:
        await events.aclose()


def event_stream(events: AsyncIterator[bytes]) -> Response:
    """The answer whose body is `events`."""
    response = Response(events, 200, headers=HEADERS, content_type="text/event-stream; charset=utf-8")
    response.timeout = None  # Quart would silently cut off a long answer after a minute
    return response
