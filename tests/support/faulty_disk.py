"""A real folder whose changes go through a disk that fails and loses power: the seam `oxillama.storage.system`.

For files that other code maps or opens by name, as the GGUF writer's; `simulated_disk` keeps everything in memory.


    faulty = FaultyDisk(folder)
    faulty.install(monkeypatch)
    faulty.power_fails_at = 17          # the 17th changing call raises PowerCut, and every later one
    faulty.lose_what_was_not_synced(rng)  # makes of the folder a state that the machine could come back with
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
    """The machine is gone: not an Exception, so that no handler of the code under test tidies up."""


@dataclass
class _File:
    """By inode: the bytes that are certain, and the writes and cuts since."""

    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, bytes) or (length, None)


def _close_all(streams: list[FileIO]) -> None:
    for stream in streams:
        stream.close()


class FaultyDisk:
    """See the module. `fault(call, index)` may return an OSError to raise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = 0
        self.trace: list[tuple[str, str]] = []
        self.power_fails_at: int | None = None
        self.fault: Callable[[str, int], OSError | None] = lambda call, index: None
        self._files: dict[int, _File] = {}
        self._fds: set[int] = set()
        self._kept: list[FileIO] = []  # open, so that no inode is used twice
        weakref.finalize(self, _close_all, self._kept)
        self._names = {p.name: self._known(p) for p in folder.iterdir()}
        self._changes: list[dict[str, int | None]] = []  # of names, each at once, since the folder's last fsync

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("open", "pwrite", "truncate", "fsync", "rename", "unlink", "fsync_dir"):
            monkeypatch.setattr(SystemDisk, name, self._wrapped(name, getattr(SystemDisk, name)))
        monkeypatch.setattr(SystemDisk, "close", lambda disk, fd: self._close(fd))

    def end_process(self) -> None:
        """The system closes, and thereby unlocks, what the process had open."""
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
            result = None if name.startswith("fsync") else real(disk, target, *args)  # the real one is slow
            note(path, before, result, *args)
            return result

        return call

    def _known(self, path: Path) -> int:
        stream = path.open("rb", buffering=0)
        self._kept.append(stream)
        inode = os.fstat(stream.fileno()).st_ino
        self._files.setdefault(inode, _File(stream.readall()))
        return inode

    # -- what each call leaves undecided ------------------------------------------------------------------------------

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

    # -- the cut ------------------------------------------------------------------------------------------------------

    def lose_what_was_not_synced(self, rng: random.Random) -> None:
        """Of the changes of names, the first few survive; of a file's writes since its fsync, any, or parts of any."""
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
