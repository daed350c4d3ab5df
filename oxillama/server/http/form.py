"""A multipart form as it arrives (RFC 7578), for files that are larger than memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import trio
from quart import request
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout
from werkzeug.sansio import multipart

from oxillama.server.wire.errors import APIError, bad_request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from oxillama.server.http.body import RequestBody

MAX_FIELDS = 64
MAX_FIELD = 64 * 1024  # bytes
LEAST_RATE = 4096  # bytes per second that a form must have on average


@dataclass(frozen=True, slots=True)
class Field:
    """A field that is not a file."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileBegins:
    """A file. Its bytes follow."""

    name: str
    filename: str


Part = Field | FileBegins | bytes


async def form_parts() -> AsyncGenerator[Part, None]:
    """The parts of the current request's form, in order. Bytes belong to the file that began last.

    Raises APIError (400, 415), RequestEntityTooLarge (413), or RequestTimeout (408) when nothing arrives for as long as
    a whole body may take elsewhere, or the form as a whole arrives more slowly than LEAST_RATE.
    """
    boundary = request.mimetype_params.get("boundary")
    if request.mimetype != "multipart/form-data" or not boundary:
        shown = request.headers.get("Content-Type", "")[:100]
        raise APIError(415, f"Unsupported content type: '{shown}'. Send the file as multipart/form-data.")
    decoder = multipart.MultipartDecoder(boundary.encode("latin-1"), max_parts=MAX_FIELDS)
    body = TimedBody(cast("RequestBody", request.body), request.body_timeout)
    name, value = "", bytearray()  # of a field
    in_file = False
    over = False
    while not over:
        try:
            event = decoder.next_event()
        except RequestEntityTooLarge:
            raise bad_request(f"The form has more than {MAX_FIELDS} parts.") from None
        except ValueError as error:
            raise bad_request(f"The form of your request is malformed: {error}.") from None
        match event:
            case multipart.NeedData():
                decoder.receive_data(await body.more())
            case multipart.File():
                in_file = True
                yield FileBegins(event.name, event.filename)
            case multipart.Field():
                name, value, in_file = event.name, bytearray(), False
            case multipart.Data() if in_file:
                if event.data:
                    yield bytes(event.data)
            case multipart.Data():
                value += event.data
                if len(value) > MAX_FIELD:
                    raise bad_request(f"The form's field '{name[:40]}' is longer than {MAX_FIELD} bytes.", param=name)
                if not event.more_data:
                    yield Field(name, value.decode("utf-8", "replace"))
            case multipart.Epilogue():
                over = True


class TimedBody:
    """A body whose client must keep a pace. Only the waiting for the client counts, not the work on what it sent.

    timeout: seconds that the client may be silent, and that it may fall behind LEAST_RATE; None: any.
    """

    def __init__(self, body: RequestBody, timeout: float | None) -> None:
        self._body = body
        self._timeout = timeout if timeout is not None else math.inf
        self._waited = 0.0  # seconds
        self._received = 0  # bytes

    async def more(self) -> bytes | None:
        """The next bytes; None: there are none. Raises RequestTimeout."""
        began = trio.current_time()
        left = self._timeout - max(0.0, self._waited - self._received / LEAST_RATE)
        if left < 0:  # bytes that came as the time ended were still taken
            raise RequestTimeout
        with trio.move_on_after(left):
            async for data in self._body:
                self._waited += trio.current_time() - began
                self._received += len(data)
                return data
            return None
        raise RequestTimeout
