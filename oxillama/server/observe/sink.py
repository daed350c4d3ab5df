"""The standard streams as a server writes to them: writing never fails and never waits."""

from __future__ import annotations

import contextlib
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
        self._is_torn = False  # the last line was written in part
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Write `text`, which ends a line. Never raises and never waits."""
        with self._lock:
            start = "\n" if self._is_torn else ""  # the rest of a torn line must not spoil the next one
            data = (start + text).encode("utf-8", "backslashreplace")
            written = _write(getattr(sys, self._stream), data)
            self.lost = 0 if written == len(data) else self.lost + 1
            if written:
                self._is_torn = len(start) < written < len(data)
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""


def _write(stream: TextIO | None, data: bytes) -> int:
    """How many bytes were written."""
    written = 0
    with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
        if stream is None:  # it was closed when the process started
            return 0
        descriptor = _descriptor(stream)
        if descriptor is None:
            stream.write(data.decode())
            stream.flush()
            return len(data)
        # A pipe that is ready takes this much without waiting.
        while written < len(data) and _is_ready(descriptor):
            piece = data[written : written + select.PIPE_BUF]
            taken = os.write(descriptor, piece)
            written += taken
            if taken < len(piece):
                break
    return written


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
