"""Stored objects of one kind: a table of the database, one row each."""

from __future__ import annotations

import builtins
import copy
import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Self, TypeVar

import msgspec

from oxillama.errors import InvalidParameterError, ObjectNotFoundError, StoreDamagedError
from oxillama.storage.database import Database
from oxillama.storage.ids import is_id
from oxillama.storage.record import Record

R = TypeVar("R", bound=Record)

Part = tuple[Sequence[R], bool]
"""Part of a list, and whether there is more of it."""

_Row = tuple[str, str, int, str | None, int, str]
_log = logging.getLogger(__name__)

_TABLE = """
CREATE TABLE IF NOT EXISTS {name} (
    seq INTEGER PRIMARY KEY,     -- orders objects of the same second
    id TEXT NOT NULL,
    owner TEXT NOT NULL,         -- the id of the object that it belongs to, or ''
    created_at INTEGER NOT NULL,
    tag TEXT,                    -- what lists can ask for
    crc32 INTEGER NOT NULL,      -- of data
    data TEXT NOT NULL           -- JSON
);
CREATE UNIQUE INDEX IF NOT EXISTS {name}_id ON {name} (id, owner);
CREATE INDEX IF NOT EXISTS {name}_order ON {name} (owner, created_at);
CREATE INDEX IF NOT EXISTS {name}_tag ON {name} (tag, owner, created_at) WHERE tag IS NOT NULL
"""

_INSERT = "INSERT INTO {} (id, owner, created_at, tag, crc32, data) VALUES (?, ?, ?, ?, ?, ?)"
_OR_REPLACE = """
ON CONFLICT (id, owner) DO UPDATE
SET created_at = excluded.created_at, tag = excluded.tag, crc32 = excluded.crc32, data = excluded.data
"""


def create_table(connection: sqlite3.Connection, name: str) -> None:
    """Create a table of objects."""
    for statement in _TABLE.format(name=name).split(";"):
        connection.execute(statement)


def insert(connection: sqlite3.Connection, name: str, row: _Row) -> None:
    """Add a row to a table of objects."""
    connection.execute(_INSERT.format(name), row)


def _json(field: str) -> str:
    """SQL for a field of an object's JSON; NULL in damaged JSON."""
    return f"CASE WHEN json_valid(data) THEN json_extract(data, '$.{field}') END"


class _Place(msgspec.Struct):
    """The order of objects in earlier versions."""

    created_at: int
    sequence: int = 0


_PLACE = msgspec.json.Decoder(_Place)


@dataclass(frozen=True, slots=True)
class Cut:
    """Which part of a list is wanted. after and before: ids of objects between which it lies. tag: only those with it.

    `before` without `after` gives the last objects in front of that one.
    """

    limit: int
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None
    tag: str | None = None


class Collection(Generic[R]):
    """The objects of a table. With `within`, those that belong to one owner.

    name: the table's. prefix: how ids begin. noun: the kind of object in errors. tag: what lists can ask for. fields:
    values that all objects of this collection share, such as the id of the thread that they belong to. They and the
    object's id come from the row, not from the JSON.

    Each method that changes something is a change of its own, or part of the surrounding `Database.change`. All
    methods block and raise what `Database` raises.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        kind: type[R],
        *,
        prefix: str,
        noun: str,
        tag: Callable[[R], str | None] = lambda record: None,
    ) -> None:
        self.database = database
        self.name = name
        self._decoder = msgspec.json.Decoder(kind)
        self._prefix = prefix
        self._noun = noun
        self._tag = tag
        self._owner = ""
        self._fields: dict[str, Any] = {}
        self._where, self._values = "owner = ?", [""]
        with database.read() as connection:
            exists = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        if not exists:
            with database.change() as connection:
                create_table(connection, name)

    def within(self, owner: str, /, **fields: Any) -> Self:
        """The objects that belong to `owner`, with these values in their fields."""
        view = copy.copy(self)
        view._owner, view._fields = owner, fields
        view._where, view._values = "owner = ?", [owner]
        return view

    def having(self, field: str, value: str) -> Self:
        """A view whose `list`, `cut`, `tagged` and `total` see only objects with this value in a field of the JSON."""
        view = copy.copy(self)
        view._where = f"{self._where} AND {_json(field)} = ?"
        view._values = [*self._values, value]
        return view

    def check(self, object_id: str) -> None:
        """Raise ObjectNotFoundError unless this is a valid id."""
        if not is_id(object_id, self._prefix):
            raise ObjectNotFoundError(self._noun, object_id)

    # -- reading -------------------------------------------------------------------------------------------------------

    def get(self, object_id: str) -> R:
        """One object. Raises ObjectNotFoundError or StoreDamagedError."""
        self.check(object_id)
        with self.database.read() as connection:
            row = connection.execute(
                f"SELECT id, crc32, data FROM {self.name} WHERE id = ? AND owner = ?", (object_id, self._owner)
            ).fetchone()
        if row is None:
            raise ObjectNotFoundError(self._noun, object_id)
        return self._decoded(*row)

    def find(self, object_id: str) -> R | None:
        """One object, or None. Raises StoreDamagedError."""
        try:
            return self.get(object_id)
        except ObjectNotFoundError:
            return None

    def list(self, tag: str | None = None) -> list[R]:
        """All objects, oldest first; of those with a tag, if one is given. Damaged ones are left out and logged."""
        return list(self._readable(self._rows(tag)))

    def whole(self, tag: str | None = None) -> Sequence[R]:
        """The same, but a damaged object raises StoreDamagedError."""
        return [self._decoded(*row) for row in self._rows(tag)]

    def require(self, object_id: str) -> None:
        """Raise ObjectNotFoundError unless there is such an object, damaged or not."""
        self.check(object_id)
        with self.database.read() as connection:
            if self._place(connection, object_id) is None:
                raise ObjectNotFoundError(self._noun, object_id)

    def following(self, record: R) -> R:
        """The record with a time that puts it behind all others, even if the clock has gone back."""
        with self.database.read() as connection:
            (newest,) = connection.execute(
                f"SELECT max(created_at) FROM {self.name} WHERE owner = ?", (self._owner,)
            ).fetchone()
        if newest is None or newest <= record.created_at:
            return record
        return msgspec.structs.replace(record, created_at=newest)

    def ids(self) -> Sequence[str]:
        """The ids of all objects, oldest first, damaged ones too."""
        with self.database.read() as connection:
            rows = connection.execute(
                f"SELECT id FROM {self.name} WHERE owner = ? ORDER BY created_at, seq", (self._owner,)
            )
            return [row[0] for row in rows]

    def tagged(self, tags: Iterable[str]) -> dict[str, int]:
        """How many objects have each of these tags, damaged ones too."""
        counts = dict.fromkeys(tags, 0)
        with self.database.read() as connection:
            rows = connection.execute(
                f"SELECT tag, count(*) FROM {self.name} WHERE {self._where} "
                f"AND tag IN ({', '.join('?' * len(counts))}) GROUP BY tag",
                (*self._values, *counts),
            ).fetchall()
        return counts | dict(rows)

    def total(self, field: str) -> int:
        """The sum of a field of all objects' JSON, a number."""
        with self.database.read() as connection:
            found = connection.execute(
                f"SELECT coalesce(sum({_json(field)}), 0) FROM {self.name} WHERE {self._where}", self._values
            )
            return int(found.fetchone()[0])

    def count(self) -> int:
        """How many objects there are."""
        with self.database.read() as connection:
            found = connection.execute(f"SELECT count(*) FROM {self.name} WHERE owner = ?", (self._owner,))
            return int(found.fetchone()[0])

    def cut(self, wanted: Cut) -> Part[R]:
        """Part of the list, in its order, and whether there is more of it. Raises InvalidParameterError (cursor) or
        StoreDamagedError."""
        where: builtins.list[str] = [self._where]
        values: builtins.list[str | int] = [*self._values]
        if wanted.tag is not None:
            where.append("tag = ?")
            values.append(wanted.tag)
        newest_first = wanted.order == "desc"
        backwards = wanted.before is not None and wanted.after is None
        with self.database.read() as connection:
            for cursor, name in ((wanted.after, "after"), (wanted.before, "before")):
                if cursor is not None:
                    above = (name == "after") != newest_first
                    where.append(f"(created_at, seq) {'>' if above else '<'} (?, ?)")
                    values += self._cursor(connection, cursor, name)
            order = "DESC" if newest_first != backwards else "ASC"
            rows = connection.execute(
                f"SELECT id, crc32, data FROM {self.name} WHERE {' AND '.join(where)} "
                f"ORDER BY created_at {order}, seq {order} LIMIT ?",
                (*values, wanted.limit + 1),
            ).fetchall()
        found = [self._decoded(*row) for row in rows[: wanted.limit]]
        return found[::-1] if backwards else found, len(rows) > wanted.limit

    def owners(self, tag: str) -> Sequence[tuple[str, str]]:
        """(owner, id) of all objects with a tag, of whatever owner, oldest first."""
        with self.database.read() as connection:
            return connection.execute(
                f"SELECT owner, id FROM {self.name} WHERE tag = ? ORDER BY created_at, seq", (tag,)
            ).fetchall()

    def owners_of(self, object_id: str) -> Sequence[str]:
        """The owners that have an object with this id."""
        with self.database.read() as connection:
            rows = connection.execute(f"SELECT owner FROM {self.name} WHERE id = ? ORDER BY owner", (object_id,))
            return [row[0] for row in rows]

    # -- changing ------------------------------------------------------------------------------------------------------

    def put(self, record: R) -> None:
        """Create or replace the object. A replaced one keeps its place."""
        self.put_all([record])

    def put_all(self, records: Iterable[R]) -> None:
        """`put` for many."""
        with self.database.change() as connection:
            connection.executemany(_INSERT.format(self.name) + _OR_REPLACE, map(self._row, records))

    def adopt(self, objects: Iterable[tuple[str, bytes]]) -> tuple[Sequence[R], int]:
        """Store objects (id, JSON) of an earlier version, in their order there. Ids that exist are skipped.

        JSON that cannot be read is stored as it is, so that the object is reported as damaged. Returns the others, and
        how many are damaged.
        """
        known = set(self.ids())
        rows: builtins.list[tuple[tuple[int, int], _Row]] = []
        adopted: builtins.list[R] = []
        last = 0, 0
        for object_id, data in objects:
            if object_id in known:
                continue
            try:
                record = msgspec.structs.replace(self._decoder.decode(data), id=object_id, **self._fields)
                place = _PLACE.decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                text = data.decode(errors="replace")
                rows.append((last, (object_id, self._owner, last[0], None, zlib.crc32(text.encode()), text)))
                continue
            last = place.created_at, place.sequence
            rows.append((last, self._row(record)))
            adopted.append(record)
        rows.sort(key=lambda row: row[0])
        with self.database.change() as connection:
            connection.executemany(_INSERT.format(self.name), [row for _, row in rows])
        return adopted, len(rows) - len(adopted)

    def delete(self, object_id: str) -> None:
        """Delete the object. A missing one is not an error."""
        with self.database.change() as connection:
            connection.execute(f"DELETE FROM {self.name} WHERE id = ? AND owner = ?", (object_id, self._owner))

    def clear(self) -> None:
        """Delete all objects of the owner."""
        with self.database.change() as connection:
            connection.execute(f"DELETE FROM {self.name} WHERE owner = ?", (self._owner,))

    def _row(self, record: R) -> _Row:
        self.check(record.id)
        data = msgspec.json.encode(record)
        return record.id, self._owner, record.created_at, self._tag(record), zlib.crc32(data), data.decode()

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _rows(self, tag: str | None) -> Sequence[tuple[str, int, str]]:
        where, values = ("", self._values) if tag is None else (" AND tag = ?", [*self._values, tag])
        with self.database.read() as connection:
            return connection.execute(
                f"SELECT id, crc32, data FROM {self.name} WHERE {self._where}{where} ORDER BY created_at, seq", values
            ).fetchall()

    def _readable(self, rows: Sequence[tuple[str, int, str]] | sqlite3.Cursor) -> Iterator[R]:
        for row in rows:
            try:
                yield self._decoded(*row)
            except StoreDamagedError as error:
                _log.error("%s left out: %s", self._noun, error)

    def _decoded(self, object_id: str, crc32: int, data: str) -> R:
        damaged = f"{self._noun} {object_id} in {self.database.path} is damaged"
        if not (isinstance(object_id, str) and isinstance(data, str)) or zlib.crc32(data.encode()) != crc32:
            raise StoreDamagedError(f"{damaged}: its checksum is wrong.")
        try:
            record = self._decoder.decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise StoreDamagedError(f"{damaged}: {error}") from error
        return msgspec.structs.replace(record, id=object_id, **self._fields)

    def _cursor(self, connection: sqlite3.Connection, object_id: str, name: str) -> tuple[int, int]:
        place = self._place(connection, object_id)
        if place is None:
            message = f"Invalid '{name}': no item with id '{object_id[:100]}' in this list."
            raise InvalidParameterError(message, param=name)
        return place

    def _place(self, connection: sqlite3.Connection, object_id: str) -> tuple[int, int] | None:
        place: tuple[int, int] | None = connection.execute(
            f"SELECT created_at, seq FROM {self.name} WHERE id = ? AND owner = ?", (object_id, self._owner)
        ).fetchone()
        return place
