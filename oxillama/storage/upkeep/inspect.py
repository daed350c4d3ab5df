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
from oxillama.storage.database import APPLICATION_ID, NAME, SCHEMA
from oxillama.storage.system import SystemDisk

CONTENTS = {"files": "files/{id}/content", "upload_parts": "uploads/{owner}/parts/{id}/content"}
"""Where the bytes are that belong to a row of a table. Its JSON says how many: `bytes`."""


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
    with contextlib.closing(sqlite3.connect(SystemDisk().database_uri(path), uri=True, isolation_level=None)) as db:
        try:
            db.execute("PRAGMA query_only=1")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (application,) = db.execute("PRAGMA application_id").fetchone()
        except sqlite3.DatabaseError as error:
            raise StoreDamagedError(f"{path} cannot be read at all ({error}): put a backup in its place.") from error
        if version > SCHEMA:
            raise StoreError(f"{path} was written by a newer version of oxillama: update it.")
        if application != APPLICATION_ID:
            raise StoreError(f"{path} is a database of another program.")
        yield db


def tables(db: sqlite3.Connection) -> list[str]:
    """The tables that hold objects."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [name for name in names if "crc32" in {row[1] for row in db.execute(f"PRAGMA table_info({name})")}]


def integrity(db: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the file."""
    try:
        found = [text for (text,) in db.execute("PRAGMA integrity_check(20)")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def rows(db: sqlite3.Connection, table: str) -> Iterator[Row]:
    """The rows of a table that can be read, in order: those behind a damaged page too."""
    columns, begin = "seq, id, owner, created_at, tag, crc32, data", 0
    while True:
        try:
            for found in db.execute(f"SELECT {columns} FROM {table} WHERE seq >= ? ORDER BY seq", (begin,)):
                begin = found[0] + 1
                yield _checked(table, found)
            return
        except sqlite3.DatabaseError:
            readable = _first_readable(db, table, begin)
            if readable is None:
                return
            found = db.execute(f"SELECT {columns} FROM {table} WHERE seq = ?", (readable,)).fetchone()
            begin = readable + 1
            yield _checked(table, found)


def _first_readable(db: sqlite3.Connection, table: str, begin: int) -> int | None:
    """The first row from `begin` on that can be read; None if there is none."""
    try:
        end = db.execute(f"SELECT max(seq) FROM {table}").fetchone()[0] or 0
    except sqlite3.DatabaseError:
        end = begin + 1_000_000
    for seq in range(begin, end + 1):
        with contextlib.suppress(sqlite3.DatabaseError):
            if db.execute(f"SELECT id, data FROM {table} WHERE seq = ?", (seq,)).fetchone() is not None:
                return seq
    return None


def _checked(table: str, found: tuple[int, str, str, int, str | None, int, str]) -> Row:
    data, problem = found[6], None
    if zlib.crc32(data.encode()) != found[5]:
        problem = "its checksum is wrong"
    else:
        try:
            json.loads(data)
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
