"""The system calls that change files, one function each: tests fail each in turn and cut the power between any two."""

from __future__ import annotations

import contextlib
import os
from io import FileIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Buffer


def create(path: Path, *, keep: bool = False) -> FileIO:
    """A file to read and write, unbuffered, and new unless its content is to be kept. A link is never followed."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if keep else os.O_EXCL)
    return FileIO(os.open(path, flags, 0o666), "r+b")


def pwrite(stream: FileIO, data: Buffer, at: int) -> int:
    return os.pwrite(stream.fileno(), data, at)


def truncate(stream: FileIO, size: int) -> None:
    """Cut off what is behind `size`, or fill up with zeros."""
    os.ftruncate(stream.fileno(), size)


def fsync(stream: FileIO) -> None:
    os.fsync(stream.fileno())


def replace(source: Path, target: Path) -> None:
    os.replace(source, target)


def unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def fsync_dir(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # file systems without such a call keep names in order themselves
            os.fsync(fd)
    finally:
        os.close(fd)


def write_all(stream: FileIO, data: Buffer, at: int) -> None:
    view = memoryview(data).cast("B")
    while view:
        n = pwrite(stream, view, at)
        view = view[n:]
        at += n
