"""A real folder on a disk that can fail and lose power. It replaces the calls of `oxillama.storage.system`.

For files that other code maps or opens by name, such as those of the GGUF writer. `simulated_disk` has its files in
memory.

    faulty = FaultyDisk(folder)
    faulty.install(monkeypatch)
    faulty.power_fails_at = 17    # after 17 changing calls, every further one raises PowerCut
    faulty.lose_unsynced(rng)     # puts the folder into a state that may be found after the power cut
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oxillama.storage.system import SystemDisk

if TYPE_CHECKING:
    import random
    from io import FileIO

    import pytest


class PowerCut(BaseException):
    """The power is cut. It is not an Exception, so that no handler of the code under test cleans up."""


@dataclass
class _File:
    """The state of one inode: its synced bytes, and the writes and truncations since."""

    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, bytes) or (length, None)


def _close_all(streams: list[FileIO]) -> None:
    for stream in streams:
        stream.close()


class FaultyDisk:
    """The disk of the module's docstring. `fault(call, index)` may return an OSError to raise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = 0
        self.trace: list[tuple[str, str]] = []
        self.power_fails_at: int | None = None
        self.fault: Callable[[str, int], OSError | None] = lambda call, index: None
        self._files: dict[int, _File] = {}
        self._fds: set[int] = set()
        self._kept: list[FileIO] = []  # kept open, so that no inode number is reused
        weakref.finalize(self, _close_all, self._kept)
        self._names = {p.name: self._known(p) for p in folder.iterdir()}
        self._changes: list[dict[str, int | None]] = []  # atomic changes of names since the folder's last fsync

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("open", "pwrite", "truncate", "fsync", "rename", "unlink", "fsync_dir"):
            monkeypatch.setattr(SystemDisk, name, self._wrapped(name, getattr(SystemDisk, name)))
        monkeypatch.setattr(SystemDisk, "close", lambda disk, fd: self._close(fd))

    def end_process(self) -> None:
        """Close, and so unlock, the process's open files, as the system does when a process ends."""
        while self._fds:
            os.close(self._fds.pop())

    def _close(self, fd: int) -> None:
        self._fds.discard(fd)
        os.close(fd)

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        note: Callable[..., None] = getattr(self, f"_{name}")

        def call(disk: SystemDisk, target: str | int, *args: Any) -> Any:
            if self.power_fails_at is not None and self.calls >= self.power_fails_at:
                raise PowerCut
            self.calls += 1
            path = Path(target if isinstance(target, str) else os.readlink(f"/proc/self/fd/{target}"))
            self.trace.append((name, path.name))
            if error := self.fault(name, self.calls):
                raise error
            before = path.stat().st_ino if path.exists() else None
            result = None if name.startswith("fsync") else real(disk, target, *args)  # a real fsync is slow
            note(path, before, result, *args)
            return result

        return call

    def _known(self, path: Path) -> int:
        stream = path.open("rb", buffering=0)
        self._kept.append(stream)
        inode = os.fstat(stream.fileno()).st_ino
        self._files.setdefault(inode, _File(stream.readall()))
        return inode

    # -- unsynced changes of each call --------------------------------------------------------------------------------

    def _open(self, path: Path, before: int | None, result: int, *_: int) -> None:
        self._fds.add(result)
        if before is None:
            self._changes.append({path.name: self._known(path)})

    def _pwrite(self, path: Path, before: int, result: int, data: Any, at: int) -> None:
        self._files[before].pending.append((at, bytes(memoryview(data).cast("B")[:result])))

    def _truncate(self, path: Path, before: int, result: None, size: int) -> None:
        self._files[before].pending.append((size, None))

    def _fsync(self, path: Path, before: int, result: None) -> None:
        self._files[before] = _File(path.read_bytes())

    def _rename(self, path: Path, before: int, result: None, target: str) -> None:
        self._changes.append({path.name: None, Path(target).name: before})

    def _unlink(self, path: Path, before: int | None, result: None) -> None:
        self._changes.append({path.name: None})

    def _fsync_dir(self, path: Path, before: int, result: None) -> None:
        for change in self._changes:
            self._names.update(change)  # type: ignore[arg-type]
        self._changes = []

    # -- the power cut ------------------------------------------------------------------------------------------------

    def lose_unsynced(self, rng: random.Random) -> None:
        """Lose unsynced changes: the first few name changes survive, and any writes to a file or parts of them."""
        names: dict[str, int | None] = dict(self._names)
        for change in self._changes[: rng.randint(0, len(self._changes))]:
            names.update(change)
        for path in self.folder.iterdir():
            path.unlink()
        for name, inode in names.items():
            if inode is not None:
                (self.folder / name).write_bytes(_after(self._files[inode], rng))


def _after(file: _File, rng: random.Random) -> bytes:
    data = bytearray(file.durable)
    for at, piece in file.pending:
        if rng.random() < 0.4:
            continue
        if piece is None:
            data = data[:at] + bytes(max(0, at - len(data)))
            continue
        some = piece[: rng.randint(0, len(piece))] if rng.random() < 0.5 else piece
        data += bytes(max(0, at + len(some) - len(data)))
        data[at : at + len(some)] = some
    return bytes(data)
