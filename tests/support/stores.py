"""Databases and stores of assistants on a folder or a simulated disk."""

from __future__ import annotations

import atexit
import contextlib
import os
import sqlite3
import weakref
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from oxillama.assistants.store.store import Store
from oxillama.storage.database import Database
from oxillama.storage.durable import Durable
from tests.support.records import NOW
from tests.support.simulated_disk import SimulatedDisk

if TYPE_CHECKING:
    from pathlib import Path

    from oxillama.storage.system import Disk

_open: weakref.WeakSet[Database] = weakref.WeakSet()


@atexit.register
def _close() -> None:
    """While the functions of `disk_vfs` are still there."""
    for database in _open:
        database.close()


def open_database(place: Path | str | SimulatedDisk, disk: Disk | None = None) -> Database:
    """The database of a folder, or of /data on a simulated disk."""
    if isinstance(place, SimulatedDisk):
        path, disk = "/data", place
    else:
        path = os.fspath(place)
    durable = Durable(disk)
    durable.make_dir(path)
    database = Database(path, durable)
    _open.add(database)
    return database


def open_store(place: Path | str | SimulatedDisk, *, now: int = NOW, **options: Any) -> Store:
    """The store in that database. Its clock stands still."""
    return Store(open_database(place, **options), clock=lambda: now)


def rows(place: Path, table: str) -> dict[str, Any]:
    """The objects in a table, by id, as any program may read them."""
    with contextlib.closing(sqlite3.connect(place / "store.db")) as connection:
        found = connection.execute(f"SELECT id, data FROM {table} ORDER BY seq").fetchall()
    return {object_id: msgspec.json.decode(data) for object_id, data in found}


def damage(place: Path, table: str, object_id: str, data: str, crc32: int | None = None) -> None:
    """Replace an object's JSON, with a valid checksum unless another is given."""
    crc32 = zlib.crc32(data.encode()) if crc32 is None else crc32
    with contextlib.closing(sqlite3.connect(place / "store.db")) as connection:
        connection.execute(f"UPDATE {table} SET data = ?, crc32 = ? WHERE id = ?", (data, crc32, object_id))
        connection.commit()
