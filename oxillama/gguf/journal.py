"""Records what an interrupted writer has done, so that the next one can resume.

`.NAME.journal` is text: a line with the plan, then a line per finished tensor: its number in the file and the
CRC-32 of its bytes. A line is written after the tensor's bytes have been synced, and counts if it ends in a newline.
The next writer compares the bytes with the CRC: a line in the journal alone proves nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from oxillama.errors import InvalidParameterError
from oxillama.gguf.output import DISK, open_file
from oxillama.storage.system import write_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LINE = re.compile(rb"(\d{1,7}) ([0-9a-f]{8})")


class Journal:
    """The journal of a file to be written, held by one process at a time.

    Raises InvalidParameterError while another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.journal")
        self._end = 0
        self.lines = 0
        while True:
            self._fd = _held(self._path, path)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._fd), self._path.stat()):
                    break
            DISK.close(self._fd)  # its writer removed it and ended after we opened it but before we locked it

    def read(self, plan: str) -> dict[int, int] | None:
        """CRC-32 by tensor; None for a journal of another plan, or a new one."""
        whole, newline, _ = DISK.read(str(self._path)).rpartition(b"\n")
        head, *lines = whole.split(b"\n")
        if head + newline != _head(plan):
            return None
        self._end = len(whole) + 1
        DISK.truncate(self._fd, self._end)  # drop an incomplete last line
        found = (_LINE.fullmatch(line) for line in lines)
        sums = {int(line[1]): int(line[2], 16) for line in found if line}
        self.lines = len(sums)
        return sums

    def begin(self, plan: str) -> None:
        """Clear the journal and record the plan."""
        DISK.truncate(self._fd, 0)
        self._end = self.lines = 0
        self._append(_head(plan))

    def add(self, sums: Mapping[int, int]) -> None:
        """Record, durably, tensors whose bytes are on the disk."""
        self._append(b"".join(b"%d %08x\n" % item for item in sums.items()))
        self.lines += len(sums)
        DISK.fsync(self._fd)

    def _append(self, text: bytes) -> None:
        write_all(DISK, self._fd, text, self._end)
        self._end += len(text)

    def close(self) -> None:
        DISK.close(self._fd)

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            DISK.unlink(str(self._path))
        DISK.close(self._fd)


def _head(plan: str) -> bytes:
    return f"oxillama 1 {plan}\n".encode()


def _held(journal: Path, path: Path) -> int:
    fd = open_file(journal, keep=True)
    try:
        DISK.lock(fd)  # a file system without locks is trusted
    except BlockingIOError:
        DISK.close(fd)
        raise InvalidParameterError(f"{path}: another process is writing it") from None
    except BaseException:
        DISK.close(fd)
        raise
    return fd
