"""Masks for the next tokens, filled in a thread of their own while the model computes."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Fillable(Protocol):
    """What has a mask: a `Follower`."""

    def fill(self) -> None: ...


class MaskFiller:
    """Fills the masks of one step after the other. `begin` and `wait` belong to one thread.

    Filling releases the GIL and takes a processor for a fraction of a millisecond for each mask, far less than a step.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Sequence[Fillable] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._error: BaseException | None = None

    def begin(self, followers: Sequence[Fillable]) -> None:
        """Start to fill the masks of followers, which nobody may touch until `wait` returns."""
        if not followers:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="oxillama-masks", daemon=True)
            self._thread.start()
        self._busy = True
        self._work.put(followers)

    def wait(self) -> None:
        """Wait for the masks that were begun. Raises what filling them raised."""
        if self._busy:
            self._done.get()
            self._busy = False
            error, self._error = self._error, None  # the next step has nothing to do with it
            if error is not None:
                raise error

    def close(self) -> None:
        """End the thread, and then raise as `wait` does. It begins again if there is work."""
        try:
            self.wait()
        finally:
            if self._thread is not None:
                self._work.put(None)
                self._thread.join()
                self._thread = None

    def _run(self) -> None:
        while (followers := self._work.get()) is not None:
            try:
                for follower in followers:
                    follower.fill()
            except BaseException as error:
                self._error = error
            finally:
                self._done.put(None)
