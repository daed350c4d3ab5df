"""Blocking work of the store, off the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")

THREADS = 16  # file work waits for the disk, not for the processor


class Offload:
    """Runs blocking calls in a few worker threads.

    A call that has begun is waited for even if the caller is cancelled: what was written is then known.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._limiter = trio.CapacityLimiter(threads)

    async def __call__(self, function: Callable[..., T], *args: object) -> T:
        return await trio.to_thread.run_sync(function, *args, limiter=self._limiter)
