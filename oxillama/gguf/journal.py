"""What an interrupted writer has done, so that the next one need not do it again.

`.NAME.journal` is text: a line with the plan, then a line per tensor that is whole, its number in the file and the
CRC-32 of its bytes. A line is written when the tensor's bytes have been synced, and counts when it ends in a newline.
Whoever goes on compares the bytes with the CRC: nothing is believed because it is written here alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from typing import TYPE_CHECKING

from oxillama.errors import InvalidParameterError
from oxillama.gguf import disk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import FileIO
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
            self._stream = _held(self._path, path)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._stream.fileno()), self._path.stat()):
                    break
            self._stream.close()  # its writer ended, and removed it, between our opening and our locking it

    def read(self, plan: str) -> dict[int, int] | None:
        """CRC-32 by tensor; None for a journal of another plan, or a new one."""
        self._stream.seek(0)
        whole, newline, _ = self._stream.readall().rpartition(b"\n")
        head, *lines = whole.split(b"\n")
        if head + newline != _head(plan):
            return None
        self._end = len(whole) + 1
        disk.truncate(self._stream, self._end)  # a line that was being written
        found = (_LINE.fullmatch(line) for line in lines)
        sums = {int(line[1]): int(line[2], 16) for line in found if line}
        self.lines = len(sums)
        return sums

    def begin(self, plan: str) -> None:
        """Forget what is there, and note the plan."""
        disk.truncate(self._stream, 0)
        self._end = self.lines = 0
        self._append(_head(plan))

    def add(self, sums: Mapping[int, int]) -> None:
        """Note tensors whose bytes are on the disk, for good."""
        self._append(b"".join(b"%d %08x\n" % item for item in sums.items()))
        self.lines += len(sums)
        disk.fsync(self._stream)

    def _append(self, text: bytes) -> None:
        disk.write_all(self._stream, text, self._end)
        self._end += len(text)

    def close(self) -> None:
        self._stream.close()

    def remove(self) -> None:
        disk.unlink(self._path)
        self._stream.close()


def _head(plan: str) -> bytes:
    return f"oxillama 1 {plan}\n".encode()


def _held(journal: Path, path: Path) -> FileIO:
    stream = disk.create(journal, keep=True)
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise InvalidParameterError(f"{path}: another process is writing it") from None
    except OSError:  # a file system without locks
        pass
    return stream
