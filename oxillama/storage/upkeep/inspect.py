"""Reading a database row by row, whatever is wrong with it."""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from oxillama.errors import StoreDamagedError, StoreError
from oxillama.storage.database import APPLICATION_ID, DAMAGED, NAME, SCHEMA, connect
from oxillama.storage.system import SystemDisk

CONTENTS = {"files": "files/{id}/content", "upload_parts": "uploads/{owner}/parts/{id}/content"}
"""Where the bytes are that belong to a row of a table. Its JSON says how many: `bytes`."""

_END = (1 << 63) - 1
"""Behind the last row."""
_SINGLE_STEPS = 256
_Found = tuple[int, str, str, int, str | None, int, str]
_ROWS = "SELECT seq, id, owner, created_at, tag, crc32, data FROM {} WHERE seq >= ? ORDER BY seq LIMIT ?"
_KINDS = (int, str, str, int, str | None, int, str)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table as it is stored. problem: why it is damaged; None: it is not."""

    table: str
    seq: int
    id: str
    owner: str
    created_at: int
    tag: str | None
    crc32: int
    data: str
    problem: str | None = None


@contextlib.contextmanager
def connected(directory: str) -> Iterator[sqlite3.Connection]:
    """A connection that reads. A server may have the directory open. Raises StoreError."""
    path = posixpath.join(directory, NAME)
    if not os.path.isfile(path):
        raise StoreError(f"{path} does not exist: it is made when a server starts with --data-dir {directory}.")
    try:
        with contextlib.closing(connect(SystemDisk().database_uri(path))) as db:
            db.execute("PRAGMA query_only=1")
            db.execute("PRAGMA writable_schema=1")  # reads what is there of a file that is cut off, or of its tables
            _require_ours(db, path)
            yield db
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in DAMAGED:
            raise StoreDamagedError(f"{path} cannot be read at all ({error}): put a backup in its place.") from error
        raise StoreError(f"{path} could not be read: {error}.") from error


def _require_ours(db: sqlite3.Connection, path: str) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if version > SCHEMA:
        raise StoreError(f"{path} was written by a newer version of oxillama: update it.")
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program.")


def tables(db: sqlite3.Connection) -> list[str]:
    """The tables that hold objects."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [name for name in names if name is not None and "crc32" in _columns(db, name)]


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    """The names of a table's columns; none: its definition cannot be read."""
    return {name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def integrity(directory: str) -> list[str]:
    """What SQLite finds wrong with the file."""
    uri = SystemDisk().database_uri(posixpath.join(directory, NAME))
    with contextlib.closing(connect(uri)) as db:
        try:
            found = [text for (text,) in db.execute("PRAGMA integrity_check(20)")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
    return [] if found == ["ok"] else found


def rows(db: sqlite3.Connection, table: str) -> Iterator[Row]:
    """The rows of a table that can be read, in order: those behind a damaged page too."""
    begin = 0
    while begin < _END:
        try:
            for found in db.execute(_ROWS.format(table), (begin, -1)):
                if found[0] < begin:  # a page that is linked twice
                    raise sqlite3.DatabaseError
                yield _checked(table, found)
                begin = found[0] + 1
            return
        except sqlite3.DatabaseError:
            readable = _readable(db, table, begin)  # the error may come from the row behind it
            if readable is None:
                begin = _behind_damage(db, table, begin)
            else:
                yield from (_checked(table, found) for found in readable)
                begin = readable[0][0] + 1 if readable else _END


def _readable(db: sqlite3.Connection, table: str, begin: int) -> list[_Found] | None:
    """The first row from `begin` on, if there is one; None: it cannot be read."""
    try:
        found: list[_Found] = db.execute(_ROWS.format(table), (begin, 1)).fetchall()
    except sqlite3.DatabaseError:
        return None
    return None if found and found[0][0] < begin else found


def _behind_damage(db: sqlite3.Connection, table: str, begin: int) -> int:
    """The first place behind `begin`, which cannot be read, from which the table can be; _END if there is none."""
    damaged, sound, step = begin, begin + 1, 1
    while _readable(db, table, sound) is None:
        damaged = sound
        step = 1 if sound < begin + _SINGLE_STEPS else 2 * step  # a page of the tree stands for any number of rows
        sound += step
        if sound >= _END:
            return _END
    while sound - damaged > 1:
        middle = (sound + damaged) // 2
        if _readable(db, table, middle) is None:
            damaged = middle
        else:
            sound = middle
    return sound


def _checked(table: str, found: _Found) -> Row:
    data, problem = found[6], None
    if any(not isinstance(value, kind) for value, kind in zip(found, _KINDS, strict=True)):
        problem = "values of it are of a wrong kind"
    elif zlib.crc32(data.encode()) != found[5]:
        problem = "its checksum is wrong"
    else:
        try:
            if not isinstance(json.loads(data), dict):
                problem = "its JSON is no object"
        except (ValueError, RecursionError) as error:
            problem = f"its JSON cannot be read: {error}"
    return Row(table, *found, problem)


def missing_bytes(directory: str, row: Row) -> str | None:
    """What is wrong with the bytes that belong to a whole row."""
    if row.table not in CONTENTS or row.problem is not None:
        return None
    path = posixpath.join(directory, CONTENTS[row.table].format(id=row.id, owner=row.owner))
    try:
        size = os.path.getsize(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    wanted = json.loads(row.data).get("bytes")
    return None if size == wanted else f"{path} has {size} bytes instead of {wanted}"
