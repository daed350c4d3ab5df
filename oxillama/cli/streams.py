"""Prepares the standard streams, which may be closed, full, or without a reader."""

from __future__ import annotations

import io
import os
import sys


def secure() -> None:
    """Make the standard streams safe to use: open those that are closed, and ignore failed writes to stderr.

    Call this first. A file that is opened while a standard descriptor is closed gets its number, and messages would be
    written into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115  (it stays open)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
        raw = io.BufferedWriter(_LossyFile(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


class _LossyFile(io.FileIO):
    """A file whose writes never fail. An error on stderr cannot be reported anywhere."""

    def write(self, data: object, /) -> int:
        """Write what is possible; returns the number of bytes given."""
        length = memoryview(data).nbytes  # type: ignore[arg-type]
        try:
            return super().write(data) or length  # type: ignore[arg-type]  # None: it would block
        except OSError:
            return length
