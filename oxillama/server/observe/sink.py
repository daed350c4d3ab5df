"""The standard streams as a server writes to them: writing never fails and never waits."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from typing import Literal, TextIO


class Sink:
    """Writes whole lines to a standard stream. A line that cannot be written at once is dropped and counted.

    The reader may be gone, the disk full, or the terminal stopped. None of this may end the server or block its event
    loop.
    """

    def __init__(self, stream: Literal["stderr", "stdout"] = "stderr") -> None:
        self._stream = stream
        self.lost = 0
        """Lines dropped since the last one that was written."""
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Write `text`, which ends a line. Never raises and never waits."""
        with self._lock:
            try:
                written = _write(getattr(sys, self._stream), text)
            except (OSError, ValueError):  # ValueError: the stream is closed
                written = False
            self.lost = 0 if written else self.lost + 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""


def _write(stream: TextIO | None, text: str) -> bool:
    """Whether all of the text was written."""
    if stream is None:  # it was closed when the process started
        return False
    descriptor = _descriptor(stream)
    if descriptor is None:
        stream.write(text)
        stream.flush()
        return True
    data = text.encode("utf-8", "backslashreplace")
    # A pipe that is ready takes this much without waiting.
    for at in range(0, len(data), select.PIPE_BUF):
        if not _is_ready(descriptor):
            return False
        piece = data[at : at + select.PIPE_BUF]
        if os.write(descriptor, piece) < len(piece):
            return False
    return True


def _descriptor(stream: TextIO) -> int | None:
    """The descriptor that the stream writes to; None for a replaced stream, as by a progress bar or a test."""
    try:
        return stream.fileno() if isinstance(stream, io.TextIOWrapper) else None
    except io.UnsupportedOperation:
        return None


def _is_ready(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(happened & select.POLLOUT for _, happened in poll.poll(0))
