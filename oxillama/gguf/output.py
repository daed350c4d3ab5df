"""A file being written beside its place, under a name that hides it from patterns like *.gguf, until it is whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from typing import TYPE_CHECKING

from oxillama.gguf import disk

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

    from typing_extensions import Buffer

ORPHAN_S = 60.0
"""Seconds without a write after which a temporary file that nobody has locked counts as left behind."""


class Output:
    """`resumable`: under a name that the next writer finds, with what is there already; otherwise a new file."""

    def __init__(self, path: Path, *, resumable: bool) -> None:
        self.path = path
        self.published = False
        remove_orphans(path)
        if resumable:
            self.temporary = path.with_name(f".{path.name}.partial")
        else:
            self.temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
        self.stream: FileIO = disk.create(self.temporary, keep=resumable)
        if not resumable:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, data: Buffer, at: int) -> None:
        disk.write_all(self.stream, data, at)

    def publish(self) -> None:
        """Put the synced file under its name. Raises OSError when another process has put its own in our place, which
        only a file system without locks lets happen."""
        if not os.path.samestat(os.fstat(self.stream.fileno()), self.temporary.stat()):
            raise OSError(f"{self.path}: another process is writing it too")
        disk.replace(self.temporary, self.path)
        self.published = True
        self.stream.close()

    def discard(self) -> None:
        self.stream.close()
        if not self.published:
            disk.unlink(self.temporary)


def remove_partials(path: Path) -> None:
    """Remove what resumable writers of a file, or of its shards, left: only for who holds its journal."""
    shard = re.escape(path.stem) + r"-\d{5}-of-\d{5}\.gguf"
    left = re.compile(rf"\.({re.escape(path.name)}|{shard})\.partial")
    for name in os.listdir(path.parent):
        if left.fullmatch(name):
            disk.unlink(path.with_name(name))


def remove_orphans(path: Path) -> None:
    """Remove what writers of the same file left behind when they were killed: a living one holds a lock on its own."""
    left = re.compile(re.escape(f".{path.name}.") + r"\d+-[0-9a-f]{8}\.tmp")
    for name in os.listdir(path.parent):
        orphan = path.with_name(name)
        with contextlib.suppress(OSError):  # locked, gone already, or not ours
            # One just made may not be locked yet.
            if left.fullmatch(name) and time.time() - orphan.stat().st_mtime > ORPHAN_S:
                with orphan.open("rb") as stream:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    orphan.unlink()
