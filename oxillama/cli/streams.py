"""Prepares the standard streams, which may be closed, full, or without a reader."""

from __future__ import annotations

import io
import os
import sys

STDOUT_NAME = "standard output"


def secure() -> None:
    """Make the standard streams safe to use: open closed ones, name stdout in its errors, ignore those of stderr.

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
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        encoding, buffering = (
            ("utf-8", False) if sys.stdout is None else (sys.stdout.encoding, sys.stdout.line_buffering)
        )
        named = io.BufferedWriter(_Output(1, "w", closefd=False))
        sys.stdout = io.TextIOWrapper(named, encoding=encoding, line_buffering=buffering)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
        lossy = io.BufferedWriter(_LossyFile(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(lossy, encoding=encoding, errors="backslashreplace", line_buffering=True)


class _Output(io.FileIO):
    """Standard output, with its name in the errors of its writes: the system knows a descriptor alone."""

    def write(self, data: object, /) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            error.filename = STDOUT_NAME
            raise


class _LossyFile(io.FileIO):
    """A file whose writes never fail. An error on stderr cannot be reported anywhere."""

    def write(self, data: object, /) -> int:
        """Write what is possible; returns the number of bytes given."""
        length = memoryview(data).nbytes  # type: ignore[arg-type]
        try:
            return super().write(data) or length  # type: ignore[arg-type]  # None: it would block
        except OSError:
            return length
