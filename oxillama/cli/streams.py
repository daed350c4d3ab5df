"""The standard streams as a command may find them: closed, full, or without a reader."""

from __future__ import annotations

import io
import os
import sys


def secure() -> None:
    """Make the standard streams safe to use: none is closed, and what cannot be told on stderr is left untold.

    Called first, since files that are opened while a standard descriptor is closed get its number, and messages would
    be written into them.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115  (it stays open)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
        raw = io.BufferedWriter(_Forgiving(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


class _Forgiving(io.FileIO):
    """A file whose writes never fail: there is nobody left to be told."""

    def write(self, data: object, /) -> int:
        """The number of bytes, written or not."""
        length = memoryview(data).nbytes  # type: ignore[arg-type]
        try:
            return super().write(data) or length  # type: ignore[arg-type]  # None: it would have to wait
        except OSError:
            return length
