"""Append-only files of JSON records.

One record is one line: a JSON object whose first two keys check the rest of it.

    {"crc32":"9ae0f1c4","bytes":57,"id":"msg_…","role":"user",…}\\n
                                   └────── `bytes` bytes, whose CRC-32 this is ──────┘

What an interrupted append left behind the last whole record is cut off. Any other damage is reported:

- a bad line that is followed by a whole record, because appends were in order;
- a last line with the right length, a newline and no NUL, but a wrong checksum: an interrupted write loses its end or
  leaves zeros, it does not change bytes;
- a file that has no whole record and does not begin like one.
"""

from __future__ import annotations

import re
import zlib

from oxillama.errors import StoreDamagedError

_HEADER = re.compile(rb'\{"crc32":"([0-9a-f]{8})","bytes":([0-9]{1,12}),')
_START = b'{"crc32":"'


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


def split_records(data: bytes, path: str) -> tuple[list[bytes], StoreDamagedError | None]:
    """The whole records at the start of a file, and what is wrong with what follows them, if it is more than torn."""
    lines = data.split(b"\n")
    lines.pop()  # after the last newline: nothing, or what is left of an interrupted append
    whole = 0
    while whole < len(lines) and is_whole(lines[whole]):
        whole += 1
    records = lines[:whole]
    tail = data[sum(map(len, records)) + whole :]
    return records, _damage(tail, lines[whole:], f"{path} is damaged: line {whole + 1}", first=not records)


def _damage(tail: bytes, lines: list[bytes], damaged: str, *, first: bool) -> StoreDamagedError | None:
    """None if the tail can be what is left of one append."""
    if not tail:
        return None
    if _holds_a_record(tail):
        return StoreDamagedError(f"{damaged} is not a record, but there are records behind it.")
    if lines and _was_whole_once(lines[0]):
        return StoreDamagedError(f"{damaged} has a wrong checksum.")
    if first and not _begins_as_a_record(tail):
        return StoreDamagedError(f"{damaged} is not a record, and no other is.")
    return None


def _holds_a_record(tail: bytes) -> bool:
    """Whether a whole record begins after the start. A record at the start may be complete except for its newline."""
    for header in _HEADER.finditer(tail, 1):
        body = tail[header.end() : header.end() + int(header[2])]
        if len(body) == int(header[2]) and zlib.crc32(body) == int(header[1], 16):
            return True
    return False


def _begins_as_a_record(torn: bytes) -> bool:
    return _START.startswith(torn[: len(_START)]) or not torn.strip(b"\0")
