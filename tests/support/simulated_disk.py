"""A disk in memory that can lose power, run out of space and fail. It implements `oxillama.storage.system.Disk`.

It separates the state that the system shows (all changes) from the state that is certain to survive (synced changes). A
directory's entries and a file's bytes are synced separately, as in POSIX: `fsync` of a file does not sync its name.

    disk = SimulatedDisk()
    disk.power_fails_at = 17            # the 17th changing call and every later one raise PowerCut
    after = disk.after_power_cut(rng)   # one of the states that may be found after the power cut
"""

from __future__ import annotations

import errno
import os
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.support.disk_vfs import uri

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from typing_extensions import Buffer

SECTOR = 64  # small, so that short records are torn too


class PowerCut(BaseException):
    """The power is cut. It is not an Exception, so that no handler of the code under test cleans up."""


@dataclass(eq=False)
class File:
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, bytes) or (length, None)


@dataclass(eq=False)
class Dir:
    entries: dict[str, File | Dir] = field(default_factory=dict)
    durable: dict[str, File | Dir] = field(default_factory=dict)
    pending: list[dict[str, File | Dir | None]] = field(default_factory=list)  # atomic changes of names


Node = File | Dir


def _error(code: int, path: str = "") -> OSError:
    return OSError(code, os.strerror(code), path)


class SimulatedDisk:
    """The disk of the module's docstring. `fault(call, index)` may return an OSError, or how many bytes to write."""

    def __init__(self, root: Dir | None = None) -> None:
        self.root = root or Dir()
        self.calls = 0
        self.trace: list[str] = []
        self.power_fails_at: int | None = None
        self.fault: Callable[[str, int], OSError | int | None] = lambda call, index: None
        self._open: dict[int, tuple[File, bool]] = {}
        self._next_fd = 100

    # -- the interface of Disk -----------------------------------------------------------------------------------------

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self._step("open")
        parent, name = self._parent(path)
        node = parent.entries.get(name)
        if node is None:
            if not flags & os.O_CREAT:
                raise _error(errno.ENOENT, path)
            node = File()
            self._rename_entries(parent, {name: node})
        if isinstance(node, Dir):
            raise _error(errno.EISDIR, path)
        if flags & os.O_TRUNC and node.data:
            node.data.clear()
            node.pending.append((0, None))
        self._next_fd += 1
        self._open[self._next_fd] = node, bool(flags & os.O_APPEND)
        return self._next_fd

    def write(self, fd: int, data: Buffer) -> int:
        taken = self._step("write")
        file, append = self._open[fd]
        assert append or not file.data, "the store only appends or writes new files"
        data = bytes(memoryview(data)[:taken])
        file.pending.append((len(file.data), data))
        file.data += data
        return len(data)

    def pwrite(self, fd: int, data: Buffer, at: int) -> int:
        """Where SQLite writes, too."""
        taken = self._step("write")
        file, _ = self._open[fd]
        data = bytes(memoryview(data)[:taken])
        file.pending.append((at, data))
        file.data.extend(bytes(max(0, at - len(file.data))))
        file.data[at : at + len(data)] = data
        return len(data)

    def size(self, fd: int) -> int:
        return len(self._open[fd][0].data)

    def database_uri(self, path: str) -> str:
        return uri(self, path)

    def pread(self, fd: int, n: int, at: int) -> bytes:
        file, _ = self._open[fd]
        return bytes(file.data[at : at + n])

    def lock(self, fd: int) -> bool:
        return True

    def truncate(self, fd: int, length: int) -> None:
        self._step("truncate")
        file, _ = self._open[fd]
        del file.data[length:]
        file.data.extend(bytes(length - len(file.data)))
        file.pending.append((length, None))

    def allocate(self, fd: int, length: int) -> None:
        self._step("allocate")

    def fsync(self, fd: int) -> None:
        self._step("fsync")
        file, _ = self._open[fd]
        file.durable, file.pending = bytes(file.data), []

    def close(self, fd: int) -> None:
        self._open.pop(fd, None)

    def rename(self, source: str, target: str) -> None:
        self._step("rename")
        parent, name = self._parent(source)
        target_parent, target_name = self._parent(target)
        assert parent is target_parent, "a rename between directories is two changes that can be torn apart"
        node = self._node(source)
        self._rename_entries(parent, {name: None, target_name: node})

    def unlink(self, path: str) -> None:
        self._step("unlink")
        if isinstance(self._node(path), Dir):
            raise _error(errno.EISDIR, path)
        parent, name = self._parent(path)
        self._rename_entries(parent, {name: None})

    def mkdir(self, path: str) -> None:
        self._step("mkdir")
        parent, name = self._parent(path)
        if name in parent.entries:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self._rename_entries(parent, {name: Dir()})

    def rmdir(self, path: str) -> None:
        self._step("rmdir")
        node = self._node(path)
        if isinstance(node, Dir) and node.entries:
            raise _error(errno.ENOTEMPTY, path)
        parent, name = self._parent(path)
        self._rename_entries(parent, {name: None})

    def fsync_dir(self, path: str) -> None:
        self._step("fsync_dir")
        node = self._node(path)
        assert isinstance(node, Dir)
        node.durable, node.pending = dict(node.entries), []

    def read(self, path: str) -> bytes:
        node = self._node(path)
        if isinstance(node, Dir):
            raise _error(errno.EISDIR, path)
        return bytes(node.data)

    def listdir(self, path: str) -> list[str]:
        node = self._node(path)
        if not isinstance(node, Dir):
            raise _error(errno.ENOTDIR, path)
        return list(node.entries)

    def isfile(self, path: str) -> bool:
        try:
            return isinstance(self._node(path), File)
        except OSError:
            return False

    def isdir(self, path: str) -> bool:
        try:
            return isinstance(self._node(path), Dir)
        except OSError:
            return False

    # -- failures ------------------------------------------------------------------------------------------------------

    def after_power_cut(self, rng: random.Random) -> Self:
        """A state that may be found after a power cut: any of the unsynced changes may be lost."""
        return type(self)(_survivor(self.root, rng))

    def after_kill(self) -> Self:
        """The state after the process was killed but the machine runs on: all changes are there."""
        return type(self)(_copy(self.root))

    def overwrite(self, path: str, data: bytes) -> None:
        """Replace a file's bytes without the store's knowledge."""
        parent, name = self._parent(path)
        parent.entries[name] = parent.durable[name] = File(bytearray(data), data)

    def _step(self, call: str) -> int | None:
        self.calls += 1
        if self.power_fails_at is not None and self.calls >= self.power_fails_at:
            raise PowerCut
        self.trace.append(call)
        outcome = self.fault(call, self.calls)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    @staticmethod
    def _rename_entries(parent: Dir, change: dict[str, File | Dir | None]) -> None:
        _apply(parent.entries, change)
        parent.pending.append(change)

    def _parent(self, path: str) -> tuple[Dir, str]:
        head, name = posixpath.split(path)
        parent = self._node(head)
        if not isinstance(parent, Dir):
            raise _error(errno.ENOTDIR, path)
        return parent, name

    def _node(self, path: str) -> Node:
        node: Node = self.root
        for name in path.strip("/").split("/"):
            if not name:
                continue
            if not isinstance(node, Dir):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            if name not in node.entries:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            node = node.entries[name]
        return node


class CountingDisk(SimulatedDisk):
    """Counts the calls that read, and the files that are synced."""

    reads = 0
    syncs = 0

    def fsync(self, fd: int) -> None:
        self.syncs += 1
        super().fsync(fd)

    def read(self, path: str) -> bytes:
        self.reads += 1
        return super().read(path)

    def pread(self, fd: int, n: int, at: int) -> bytes:
        self.reads += 1
        return super().pread(fd, n, at)

    def listdir(self, path: str) -> list[str]:
        self.reads += 1
        return super().listdir(path)


def _apply(entries: dict[str, Node], change: dict[str, Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _survivor(directory: Dir, rng: random.Random) -> Dir:
    entries = dict(directory.durable)
    everything = rng.random() < 0.3
    for change in directory.pending:
        if everything or rng.random() < 0.5:
            _apply(entries, change)
    kept: dict[str, Node] = {}
    for name, node in entries.items():
        if isinstance(node, Dir):
            kept[name] = _survivor(node, rng)
        else:
            data = _surviving_bytes(node, rng)
            kept[name] = File(bytearray(data), data)
    return Dir(kept, dict(kept))


def _surviving_bytes(file: File, rng: random.Random) -> bytes:
    data = file.durable
    for at, written in file.pending:
        fate = rng.choice(("kept", "lost", "prefix", "sectors", "zeros"))
        if fate == "lost":
            continue
        if written is None:
            data = data[:at].ljust(at, b"\0")
            continue
        torn = _torn(written, fate, at, rng)
        data = data.ljust(at, b"\0")[:at] + torn + data[at + len(torn) :]
    return data


def _torn(written: bytes, fate: str, at: int, rng: random.Random) -> bytes:
    if fate == "kept":
        return written
    if fate == "prefix":
        return written[: rng.randrange(len(written) + 1)]
    if fate == "zeros":
        return bytes(len(written))
    torn = bytearray(written)  # has the full length, but some of the sectors were never written
    for start in range(-(at % SECTOR), len(torn), SECTOR):
        if rng.random() < 0.5:
            low, high = max(start, 0), min(start + SECTOR, len(torn))
            torn[low:high] = bytes(high - low)
    return bytes(torn)


def _copy(node: Dir) -> Dir:
    entries: dict[str, Node] = {
        name: _copy(child) if isinstance(child, Dir) else File(bytearray(child.data), bytes(child.data))
        for name, child in node.entries.items()
    }
    return Dir(entries, dict(entries))
