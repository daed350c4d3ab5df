"""SQLite on a `Disk` of the tests: a VFS whose files are read and written by the disk's methods.

SQLite's own calls cannot be made to fail or lose power. With this VFS they are those of a `SimulatedDisk` or of a
subclass of `SystemDisk`, so every failure reaches SQLite as the system would report it. Structures and return codes are
those of sqlite3.h (https://www.sqlite.org/c3ref/vfs.html). `uri(disk, path)` is what to open.

An exception that is not an OSError, such as PowerCut, cannot pass through SQLite. The disk must keep raising it.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import weakref
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_double, c_int, c_int64, c_void_p, sizeof
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.storage.system import Disk

OK, ERROR, BUSY, IOERR, FULL, CANTOPEN, NOTFOUND = 0, 1, 5, 10, 13, 14, 12
READ, SHORT_READ, WRITE, FSYNC, TRUNCATE, FSTAT, DELETE = (IOERR | n << 8 for n in (1, 2, 3, 4, 6, 7, 10))
DELETE_NOENT = IOERR | 23 << 8
OPEN_CREATE, OPEN_MAIN_DB, OPEN_DELETE_ON_CLOSE = 4, 0x100, 8
POWERSAFE_OVERWRITE = 0x1000
SHM_UNLOCK, SHM_LOCK, SHM_SHARED, SHM_EXCLUSIVE = 1, 2, 4, 8
ROOM = 512

_disks: weakref.WeakValueDictionary[int, Disk] = weakref.WeakValueDictionary()
_numbers = itertools.count(1)


class _Locks:
    """The locks and the shared memory of one database file."""

    def __init__(self) -> None:
        self.regions: dict[int, Any] = {}
        self.shared = [0] * 8
        self.exclusive: list[int | None] = [None] * 8
        self.level: dict[int, int] = {}


class _OpenFile:
    def __init__(self, disk: Disk, path: str, fd: int, locks: _Locks) -> None:
        self.disk, self.path, self.fd, self.locks = disk, path, fd, locks
        self.held = [0] * 8  # 1: shared, 2: exclusive


class IoMethods(Structure):
    pass


class VfsFile(Structure):
    _fields_ = [("methods", POINTER(IoMethods)), ("number", c_int64)]


F = POINTER(VfsFile)
IoMethods._fields_ = [
    ("version", c_int),
    ("close", CFUNCTYPE(c_int, F)),
    ("read", CFUNCTYPE(c_int, F, c_void_p, c_int, c_int64)),
    ("write", CFUNCTYPE(c_int, F, c_void_p, c_int, c_int64)),
    ("truncate", CFUNCTYPE(c_int, F, c_int64)),
    ("sync", CFUNCTYPE(c_int, F, c_int)),
    ("file_size", CFUNCTYPE(c_int, F, POINTER(c_int64))),
    ("lock", CFUNCTYPE(c_int, F, c_int)),
    ("unlock", CFUNCTYPE(c_int, F, c_int)),
    ("check_reserved", CFUNCTYPE(c_int, F, POINTER(c_int))),
    ("control", CFUNCTYPE(c_int, F, c_int, c_void_p)),
    ("sector_size", CFUNCTYPE(c_int, F)),
    ("characteristics", CFUNCTYPE(c_int, F)),
    ("shm_map", CFUNCTYPE(c_int, F, c_int, c_int, c_int, POINTER(c_void_p))),
    ("shm_lock", CFUNCTYPE(c_int, F, c_int, c_int, c_int)),
    ("shm_barrier", CFUNCTYPE(None, F)),
    ("shm_unmap", CFUNCTYPE(c_int, F, c_int)),
]


class Vfs(Structure):
    pass


V = POINTER(Vfs)
Vfs._fields_ = [
    ("version", c_int),
    ("file_bytes", c_int),
    ("path_bytes", c_int),
    ("next", c_void_p),
    ("name", c_char_p),
    ("data", c_void_p),
    ("open", CFUNCTYPE(c_int, V, c_void_p, F, c_int, POINTER(c_int))),
    ("delete", CFUNCTYPE(c_int, V, c_char_p, c_int)),
    ("access", CFUNCTYPE(c_int, V, c_char_p, c_int, POINTER(c_int))),
    ("full_path", CFUNCTYPE(c_int, V, c_char_p, c_int, c_void_p)),
    ("dl_open", c_void_p),
    ("dl_error", c_void_p),
    ("dl_symbol", c_void_p),
    ("dl_close", c_void_p),
    ("randomness", CFUNCTYPE(c_int, V, c_int, c_void_p)),
    ("sleep", CFUNCTYPE(c_int, V, c_int)),
    ("current_time", CFUNCTYPE(c_int, V, POINTER(c_double))),
    ("last_error", CFUNCTYPE(c_int, V, c_int, c_void_p)),
]

_files: dict[int, _OpenFile] = {}
_locks: dict[tuple[int, str], _Locks] = {}


def _code(error: BaseException, otherwise: int) -> int:
    """As unixWrite and others report it: only ENOSPC is told apart."""
    return FULL if isinstance(error, OSError) and error.errno == errno.ENOSPC else otherwise


def _guarded(otherwise: int) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    def wrap(call: Callable[..., int | None]) -> Callable[..., int]:
        def guarded(*args: Any) -> int:
            try:
                return call(*args) or OK
            except BaseException as error:
                return _code(error, otherwise)

        return guarded

    return wrap


def _of(file: Any) -> _OpenFile:
    return _files[file.contents.number]


def _split(name: bytes) -> tuple[int, str]:
    number, _, path = os.fsdecode(name).lstrip("/").partition("/")
    return int(number), f"/{path}"


def _size(disk: Disk, fd: int) -> int:
    size = getattr(disk, "size", None)
    return int(size(fd)) if size is not None else os.fstat(fd).st_size


# -- files -----------------------------------------------------------------------------------------------------------


@_guarded(CANTOPEN)
def _open(vfs: Any, name: int | None, file: Any, flags: int, out: Any) -> int:
    file.contents.methods = POINTER(IoMethods)()
    if name is None:
        return CANTOPEN  # temporary files; the store keeps them in memory
    number, path = _split(ctypes.string_at(name))
    disk = _disks[number]
    fd = disk.open(path, os.O_RDWR | (os.O_CREAT if flags & OPEN_CREATE else 0))
    at = next(_numbers)
    _files[at] = _OpenFile(disk, path, fd, _locks.setdefault((number, path), _Locks()))
    file.contents.number = at
    file.contents.methods = ctypes.pointer(METHODS)
    if out:
        out[0] = flags
    return OK


@_guarded(OK)
def _close(file: Any) -> None:
    opened = _files.pop(file.contents.number)
    opened.locks.level.pop(id(opened), None)
    opened.disk.close(opened.fd)


@_guarded(READ)
def _read(file: Any, buffer: int, n: int, at: int) -> int:
    opened = _of(file)
    data = opened.disk.pread(opened.fd, n, at)
    ctypes.memmove(buffer, data, len(data))
    if len(data) < n:
        ctypes.memset(buffer + len(data), 0, n - len(data))
        return SHORT_READ
    return OK


@_guarded(WRITE)
def _write(file: Any, buffer: int, n: int, at: int) -> int:
    opened, data = _of(file), ctypes.string_at(buffer, n)
    while data:
        written = opened.disk.pwrite(opened.fd, data, at)
        if written <= 0:
            return FULL
        data, at = data[written:], at + written
    return OK


@_guarded(TRUNCATE)
def _truncate(file: Any, size: int) -> None:
    opened = _of(file)
    opened.disk.truncate(opened.fd, size)


@_guarded(FSYNC)
def _sync(file: Any, flags: int) -> int:
    opened = _of(file)
    try:
        opened.disk.fsync(opened.fd)
        if opened.path.endswith("-wal"):
            opened.disk.fsync_dir(os.path.dirname(opened.path))  # as unixSync does after the first write
    except BaseException:
        return FSYNC
    return OK


@_guarded(FSTAT)
def _file_size(file: Any, out: Any) -> None:
    opened = _of(file)
    out[0] = _size(opened.disk, opened.fd)


@_guarded(OK)
def _lock(file: Any, level: int) -> int:
    opened = _of(file)
    others = max((held for who, held in opened.locks.level.items() if who != id(opened)), default=0)
    if (level == 4 and others) or (level >= 2 and others >= 2) or (level == 1 and others >= 3):
        return BUSY
    opened.locks.level[id(opened)] = max(level, opened.locks.level.get(id(opened), 0))
    return OK


@_guarded(OK)
def _unlock(file: Any, level: int) -> None:
    opened = _of(file)
    opened.locks.level[id(opened)] = level


@_guarded(OK)
def _check_reserved(file: Any, out: Any) -> None:
    out[0] = max(_of(file).locks.level.values(), default=0) >= 2


def _shm_map(file: Any, region: int, size: int, extend: int, out: Any) -> int:
    regions = _of(file).locks.regions
    if region not in regions and not extend:
        out[0] = None
        return OK
    if region not in regions:
        regions[region] = ctypes.create_string_buffer(size)
    out[0] = ctypes.addressof(regions[region])
    return OK


def _shm_lock(file: Any, offset: int, n: int, flags: int) -> int:
    opened = _of(file)
    locks, slots = opened.locks, range(offset, offset + n)
    if flags & SHM_UNLOCK:
        for at in slots:
            if opened.held[at] == 1:
                locks.shared[at] -= 1
            elif opened.held[at] == 2:
                locks.exclusive[at] = None
            opened.held[at] = 0
        return OK
    if any(locks.exclusive[at] not in (None, id(opened)) for at in slots):
        return BUSY
    if flags & SHM_EXCLUSIVE and any(locks.shared[at] - (opened.held[at] == 1) for at in slots):
        return BUSY
    for at in slots:
        if flags & SHM_EXCLUSIVE:
            locks.exclusive[at], opened.held[at] = id(opened), 2
        elif not opened.held[at]:
            locks.shared[at] += 1
            opened.held[at] = 1
    return OK


# -- names ------------------------------------------------------------------------------------------------------------


@_guarded(DELETE)
def _delete(vfs: Any, name: bytes, sync_dir: int) -> int:
    number, path = _split(name)
    disk = _disks[number]
    try:
        disk.unlink(path)
    except FileNotFoundError:
        return DELETE_NOENT
    if sync_dir:
        disk.fsync_dir(os.path.dirname(path))
    return OK


@_guarded(IOERR)
def _access(vfs: Any, name: bytes, flags: int, out: Any) -> None:
    number, path = _split(name)
    out[0] = _disks[number].isfile(path)


def _full_path(vfs: Any, name: bytes, room: int, out: int) -> int:
    ctypes.memmove(out, name + b"\0", len(name) + 1)
    return OK


def _randomness(vfs: Any, n: int, out: int) -> int:
    ctypes.memmove(out, os.urandom(n), n)
    return n


def _current_time(vfs: Any, out: Any) -> int:
    out[0] = 2460000.5
    return OK


def _made(structure: type[Structure], **calls: Any) -> Any:
    made = structure()
    types = dict(structure._fields_)  # type: ignore[arg-type]
    for name, call in calls.items():
        setattr(made, name, types[name](call) if callable(call) else call)
    return made


METHODS = _made(
    IoMethods,
    version=2,
    close=_close,
    read=_read,
    write=_write,
    truncate=_truncate,
    sync=_sync,
    file_size=_file_size,
    lock=_lock,
    unlock=_unlock,
    check_reserved=_check_reserved,
    control=lambda file, op, arg: NOTFOUND,
    sector_size=lambda file: 4096,
    characteristics=lambda file: POWERSAFE_OVERWRITE,
    shm_map=_shm_map,
    shm_lock=_shm_lock,
    shm_barrier=lambda file: None,
    shm_unmap=lambda file, delete: OK,
)


@cache
def _register() -> Any:
    """SQLite's library must be the one that the interpreter's sqlite3 uses: a shared one."""
    library = ctypes.CDLL("libsqlite3.so.0")
    vfs = _made(
        Vfs,
        version=1,
        file_bytes=sizeof(VfsFile),
        path_bytes=ROOM,
        name=b"disk",
        open=_open,
        delete=_delete,
        access=_access,
        full_path=_full_path,
        randomness=_randomness,
        sleep=lambda vfs, microseconds: microseconds,
        current_time=_current_time,
        last_error=lambda vfs, room, out: 0,
    )
    assert library.sqlite3_vfs_register(byref(vfs), 0) == OK
    return library, vfs


def uri(disk: Disk, path: str) -> str:
    """How to open a database file on this disk."""
    _register()
    number: int | None = getattr(disk, "vfs_number", None)
    if number is None:
        number = next(_numbers)
        disk.vfs_number = number  # type: ignore[attr-defined]
        _disks[number] = disk
    return f"file:/{number}{quote(path)}?vfs=disk"
