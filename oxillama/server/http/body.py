"""A request's body as it arrives. Its size is checked while it grows, and it works with every version of Quart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio
from werkzeug.exceptions import RequestEntityTooLarge

if TYPE_CHECKING:
    from collections.abc import Generator


class RequestBody:
    """The class of Quart's `Request.body`: await it for the whole body, or iterate over its parts.

    Quart's own class checks a body of unknown length only when it is complete, and its methods differ between versions.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        self._data = bytearray()
        self._total = 0  # bytes that have arrived
        self._limit = max_content_length
        self._arrived = trio.Event()  # replaced when its data is taken
        self._complete = trio.Event()
        self._too_large = self._exceeds(expected_content_length or 0)
        self._held: int | None = None  # bytes that may wait to be read
        self._dropped = False
        self._taken = trio.Event()  # replaced when `room` waits

    def append(self, data: bytes) -> None:
        """Add the next part. Nothing more is kept once the limit is exceeded."""
        if self._too_large or self._dropped or not data:
            return
        self._total += len(data)
        if self._exceeds(self._total):
            self._too_large = True
            self._data.clear()
            self.set_complete()
            return
        self._data += data
        self._arrived.set()

    def set_complete(self) -> None:
        """End the body."""
        self._complete.set()
        self._arrived.set()

    async def read(self) -> bytes:
        """Wait for the whole body. Raises RequestEntityTooLarge."""
        if not self._too_large:
            await self._complete.wait()
        self._check()
        return bytes(self._data)

    def __await__(self) -> Generator[Any, None, bytes]:
        return self.read().__await__()

    def __aiter__(self) -> RequestBody:
        return self

    async def __anext__(self) -> bytes:
        self._check()
        await self._arrived.wait()
        self._check()
        if not self._data:
            raise StopAsyncIteration
        data = bytes(self._data)
        self._data.clear()
        self._taken.set()
        if not self._complete.is_set():
            self._arrived = trio.Event()
        return data

    def clear(self) -> None:
        """Discard what has arrived."""
        self._data.clear()

    def stream(self, held: int) -> None:
        """Say that the body is read in parts, so no more than `held` bytes of it need to wait for the reader."""
        self._held = held

    async def room(self) -> None:
        """Wait until more may be added."""
        while self._held is not None and len(self._data) >= self._held and not self._dropped:
            self._taken = trio.Event()
            await self._taken.wait()

    def drop(self) -> None:
        """Say that nobody reads the rest."""
        self._dropped = True
        self._data.clear()
        self._taken.set()

    def _exceeds(self, length: int) -> bool:
        return self._limit is not None and length > self._limit

    def _check(self) -> None:
        if self._too_large:
            raise RequestEntityTooLarge
