"""A file written next to its destination, under a name that patterns like *.gguf do not match, until it is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from typing import TYPE_CHECKING

from oxillama.storage.system import SystemDisk, write_all

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Buffer

    from oxillama.storage.system import Disk

DISK: Disk = SystemDisk()
"""All of the writer's disk calls go through this. Tests make each call fail and simulate power cuts between calls."""

ORPHAN_S = 60.0
"""An unlocked temporary file counts as an orphan after this many seconds without a write."""


class Output:
    """`resumable`: use a name that the next writer finds, and keep existing content; otherwise make a new file."""

    def __init__(self, path: Path, *, resumable: bool) -> None:
        if path.exists() and not path.is_file():  # publishing replaces whatever has the name, even /dev/null
            raise FileExistsError(errno.EEXIST, "is a folder, device, pipe or socket, not a file to write", str(path))
        self.path = path
        self.published = False
        remove_orphans(path)
        if resumable:
            self.temporary = path.with_name(f".{path.name}.partial")
        else:
            self.temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
        self.fd = open_file(self.temporary, keep=resumable)
        if not resumable:
            with contextlib.suppress(OSError):  # the lock only tells other processes that the file is in use
                DISK.lock(self.fd)

    def write(self, data: Buffer, at: int) -> None:
        write_all(DISK, self.fd, data, at)

    def publish(self) -> None:
        """Move the synced file to its name. Raises OSError if another process has replaced it, which is possible
        only on a file system without locks."""
        if not os.path.samestat(os.fstat(self.fd), self.temporary.stat()):
            raise OSError(f"{self.path}: another process is writing it too")
        DISK.rename(str(self.temporary), str(self.path))
        self.published = True
        self.close()

    def close(self) -> None:
        """Close the file; may be called again."""
        if self.fd >= 0:
            DISK.close(self.fd)
            self.fd = -1

    def discard(self) -> None:
        self.close()
        if not self.published:
            with contextlib.suppress(FileNotFoundError):
                DISK.unlink(str(self.temporary))


def open_file(path: Path, *, keep: bool) -> int:
    """Open a file to read and write; `keep`: keep its content. Links are never followed. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | (0 if keep else os.O_EXCL)
    return DISK.open(str(path), flags, 0o666)


def remove_partials(path: Path) -> None:
    """Remove the files that resumable writers of a file or its shards left. Only the journal's holder may call this."""
    shard = re.escape(path.stem) + r"-\d{5}-of-\d{5}\.gguf"
    left = re.compile(rf"\.({re.escape(path.name)}|{shard})\.partial")
    for name in os.listdir(path.parent):
        if left.fullmatch(name):
            with contextlib.suppress(FileNotFoundError):
                DISK.unlink(str(path.with_name(name)))


def remove_orphans(path: Path) -> None:
    """Remove the files that killed writers of the same file left. A running writer holds a lock on its own."""
    left = re.compile(re.escape(f".{path.name}.") + r"\d+-[0-9a-f]{8}\.tmp")
    for name in os.listdir(path.parent):
        orphan = path.with_name(name)
        with contextlib.suppress(OSError):  # locked, gone already, or not ours
            # A new file may not be locked yet.
            if left.fullmatch(name) and time.time() - orphan.stat().st_mtime > ORPHAN_S:
                _remove_unlocked(str(orphan))


def _remove_unlocked(path: str) -> None:
    fd = DISK.open(path, os.O_RDWR | os.O_NOFOLLOW)  # opened for writing: locks over NFS need that
    try:
        if DISK.lock(fd):
            DISK.unlink(path)
    finally:
        DISK.close(fd)
