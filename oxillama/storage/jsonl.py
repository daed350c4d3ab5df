"""An append-only file of JSON records, each with its own commit point.

One record is one line: a JSON object whose first two keys check the rest of it.

    {"crc32":"9ae0f1c4","bytes":57,"id":"msg_…","role":"user",…}\\n
                                   └────── `bytes` bytes, whose CRC-32 this is ──────┘

An append is one write and one fsync per record. If a crash interrupts an append, what is left of it lies behind the
last whole record, and the next append cuts it off with a warning. Any other damage is reported and never skipped:

- a bad line that is followed by a whole record, because appends are in order;
- a last line with the right length, a newline and no NUL, but a wrong checksum: an interrupted write loses its end or
  leaves zeros, it does not change bytes;
- a file that has no whole record and does not begin like one.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
import zlib
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from oxillama.errors import StoreDamagedError, StoreError
from oxillama.storage.durable import NO_SPACE, Durable
from oxillama.storage.system import write_all

T = TypeVar("T")

_HEADER = re.compile(rb'\{"crc32":"([0-9a-f]{8})","bytes":([0-9]{1,12}),')
_START = b'{"crc32":"'
_log = logging.getLogger(__name__)


def encode_record(value: Any) -> bytes:
    """One line, newline included, of a value that encodes to a JSON object with at least one key."""
    body = msgspec.json.encode(value)[1:]
    if len(body) < 2:
        raise ValueError("a record is a JSON object with at least one key")
    return b'{"crc32":"%08x","bytes":%d,' % (zlib.crc32(body), len(body)) + body + b"\n"


def is_whole(line: bytes) -> bool:
    """Whether a line (without its newline) is a record exactly as it was written."""
    header = _HEADER.match(line)
    if header is None:
        return False
    body = memoryview(line)[header.end() :]
    return len(body) == int(header[2]) and zlib.crc32(body) == int(header[1], 16)


def _was_whole_once(line: bytes) -> bool:
    """Whether the line was written completely and changed later: otherwise it is too short, or has NULs."""
    header = _HEADER.match(line)
    return header is not None and len(line) - header.end() == int(header[2]) and b"\0" not in line


def split_records(data: bytes, path: str) -> tuple[list[bytes], int]:
    """The whole records of a file and their length in bytes. Anything after them is left of an interrupted append.

    Raises StoreDamagedError.
    """
    lines = data.split(b"\n")
    lines.pop()  # after the last newline: nothing, or what is left of an interrupted append
    whole = 0
    while whole < len(lines) and is_whole(lines[whole]):
        whole += 1
    records = lines[:whole]
    end = sum(map(len, records)) + whole
    tail = data[end:]
    if tail:
        _require_torn(tail, lines[whole:], f"{path} is damaged: line {whole + 1}", first=not records)
    return records, end


def _require_torn(tail: bytes, lines: list[bytes], damaged: str, *, first: bool) -> None:
    """Raise StoreDamagedError unless the tail can be what is left of one append."""
    if _holds_a_record(tail):
        raise StoreDamagedError(f"{damaged} is not a record, but there are records behind it.")
    if lines and _was_whole_once(lines[0]):
        raise StoreDamagedError(f"{damaged} has a wrong checksum.")
    if first and not _begins_as_a_record(tail):
        raise StoreDamagedError(f"{damaged} is not a record, and no other is.")


def _holds_a_record(tail: bytes) -> bool:
    """Whether a whole record begins after the start. A record at the start may be complete except for its newline."""
    for header in _HEADER.finditer(tail, 1):
        body = tail[header.end() : header.end() + int(header[2])]
        if len(body) == int(header[2]) and zlib.crc32(body) == int(header[1], 16):
            return True
    return False


def _begins_as_a_record(torn: bytes) -> bool:
    return _START.startswith(torn[: len(_START)]) or not torn.strip(b"\0")


class JsonlFile(Generic[T]):
    """An append-only file of records of one type. Callers keep two appends from running at once."""

    def __init__(self, durable: Durable, path: str, kind: type[T]) -> None:
        self.path = path
        self._durable = durable
        self._decoder = msgspec.json.Decoder(kind)
        self._end: int | None = None  # the length of the whole records in bytes; None: unknown until the file is read
        self._torn = False
        self._missing = False

    def read(self) -> list[T]:
        """All records, oldest first; a missing file has none. Raises StoreDamagedError."""
        try:
            data = self._durable.read_bytes(self.path)
        except FileNotFoundError:
            data = b""
            self._missing = True
        records, end = split_records(data, self.path)
        try:
            values = [self._decoder.decode(record) for record in records]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StoreDamagedError(f"{self.path} is damaged: {error}") from error
        self._end, self._torn = end, end < len(data)
        if self._torn:
            _log.warning("torn tail cut off: path %s, bytes %s, records %s", self.path, len(data) - end, len(records))
        return values

    @property
    def size(self) -> int:
        """Bytes of whole records, as far as they were read or written."""
        return self._end or 0

    def create(self, values: Sequence[T]) -> None:
        """Write the file with these records into a hidden directory, which the caller publishes later.

        One fsync is enough for all of them: nobody reads the file before it is whole.
        """
        self._durable.write_new_bytes(self.path, b"".join(map(encode_record, values)))

    def append(self, values: Sequence[T]) -> None:
        """Add records. When this returns, they are on disk.

        Raises StoreFullError or StoreError, and then none was added; StoreReadOnlyError, and then a restart may find
        some of them.
        """
        self._durable.require_writable()
        if self._end is None:
            self.read()
        assert self._end is not None
        start = self._end
        with self._durable.failures_named(self.path):
            fd = self._durable.disk.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            if self._missing:
                self._durable.sync_dir(posixpath.dirname(self.path))
                self._missing = False
            if self._torn:
                self._cut(fd, start)
                self._torn = False
            for value in values:  # synced one by one: a crash could keep the second record of a write but not the first
                record = encode_record(value)
                self._write(fd, record, start)
                self._sync_appended(fd, start)
                self._end += len(record)
                self._durable.is_full = False
        finally:
            self._durable.close(fd)

    def cut(self, size: int) -> None:
        """Remove the records behind the first `size` bytes. None of them may have been acknowledged."""
        self._durable.require_writable()
        with self._durable.failures_named(self.path):
            fd = self._durable.disk.open(self.path, os.O_WRONLY)
        try:
            self._cut(fd, size)
            self._end = size
        finally:
            self._durable.close(fd)

    def _cut(self, fd: int, size: int) -> None:
        with self._durable.failures_named(self.path):
            self._durable.disk.truncate(fd, size)
        self._sync(fd)  # now, so that later appends cannot reach the disk before the cut

    def _write(self, fd: int, data: bytes, start: int) -> None:
        try:
            with self._durable.failures_named(self.path):
                write_all(self._durable.disk, fd, data)
        except StoreError:
            self._end = None  # until the cut has worked; otherwise the next append reads the file again
            self._cut(fd, start)
            self._end = start
            raise

    def _sync_appended(self, fd: int, start: int) -> None:
        """Sync an append. On network shares this is where a full disk is reported; the append is then cut off again."""
        try:
            self._durable.disk.fsync(fd)
        except OSError as error:
            self._end = None
            if error.errno not in NO_SPACE:
                self._durable.fsync_failed(self.path, error)
            self._cut(fd, start)
            self._end = start
            raise self._durable.no_space(self.path) from error

    def _sync(self, fd: int) -> None:
        try:
            self._durable.disk.fsync(fd)
        except OSError as error:
            self._end = None
            self._durable.fsync_failed(self.path, error)
