"""check, repair, compact and backup. All block and raise StoreError; repair and compact want the directory alone."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import posixpath
import shutil
import sqlite3
from collections.abc import Iterator

from oxillama.errors import StoreError
from oxillama.storage.collection import create_table, insert
from oxillama.storage.database import NAME, REPAIRED, Database
from oxillama.storage.durable import Durable
from oxillama.storage.ids import is_id
from oxillama.storage.lock import DirectoryLock
from oxillama.storage.upkeep.inspect import CONTENTS, Row, connected, integrity, missing_bytes, rows, tables

DAMAGED = "damaged.jsonl"
"""Where `repair` puts what it takes out, a row each."""

SUFFIXES = ("", "-wal", "-shm")
"""Of the files of a database. The database goes first, for without it no server starts before the repair is over."""


def check(directory: str) -> Iterator[str]:
    """What is wrong in a data directory, a line each. A server may have it open."""
    with connected(directory) as db:
        yield from (f"{NAME}: {problem}" for problem in integrity(directory))
        for table in tables(db):
            for row in rows(db, table):
                if row.problem is not None:
                    yield f"{table} {row.id}: {row.problem}"
                elif (problem := missing_bytes(directory, row)) is not None:
                    yield f"{table} {row.id}: {problem}"


def repair(directory: str) -> list[str]:
    """Make a new database of all that can be read. Returns what was done, a line each; nothing if all is well.

    The old database stays as `store.db.damaged`. Objects that are damaged, or whose bytes are missing, are taken out.
    The bytes of files that are taken out go to `files.damaged`.
    """
    path, new = posixpath.join(directory, NAME), posixpath.join(directory, REPAIRED)
    done: list[str] = []
    with _alone(directory) as durable:
        if os.path.isfile(path) or not os.path.isfile(new):  # else only the last steps of a repair are left
            with connected(directory) as db:
                damaged = bool(integrity(directory))
                if not damaged and next(check(directory), None) is None:
                    return []
                _remove(new)
                done = _copy(directory, db, new)
            durable.sync_dir(directory)
            for suffix in SUFFIXES:  # of an earlier repair
                _remove(f"{path}.damaged{suffix}")
        done += _keep_bytes(durable, directory, new)
        for suffix in SUFFIXES:
            durable.retire(path + suffix, f"{NAME}.damaged{suffix}")
        _put(durable, new, path)
    return [*done, f"the old database is {path}.damaged"]


def _copy(directory: str, db: sqlite3.Connection, new: str) -> list[str]:
    done = []
    out = posixpath.join(directory, DAMAGED)
    with contextlib.ExitStack() as stack:
        copy = stack.enter_context(contextlib.closing(sqlite3.connect(new, isolation_level=None)))
        bad = stack.enter_context(open(out, "a", encoding="utf-8"))
        for pragma in ("application_id", "user_version"):
            copy.execute(f"PRAGMA {pragma}={db.execute(f'PRAGMA {pragma}').fetchone()[0]}")
        copy.execute("BEGIN")
        kept: dict[str, int] = {}
        for table in tables(db):
            create_table(copy, table)
            kept[table] = 0
            for row in rows(db, table):
                problem = row.problem or missing_bytes(directory, row) or _put_in(copy, row)
                if problem is None:
                    kept[table] += 1
                    continue
                bad.write(json.dumps(dataclasses.asdict(row) | {"problem": problem}, default=repr) + "\n")
                done.append(f"{table} {row.id} taken out to {out}: {problem}")
        copy.execute("COMMIT")
        bad.flush()
        os.fsync(bad.fileno())
    return [*done, "kept " + ", ".join(f"{count} {table}" for table, count in kept.items() if count)]


def _keep_bytes(durable: Durable, directory: str, new: str) -> list[str]:
    """Move bytes that have no row in the new database, because a start would remove them. Returns a line for each."""
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as copy:
        known = {file_id for (file_id,) in copy.execute("SELECT id FROM files")} if "files" in tables(copy) else set()
    source, target = posixpath.join(directory, "files"), posixpath.join(directory, "files.damaged")
    lost = [name for name in durable.list_dir(source) if is_id(name, "file") and name not in known]
    if lost:
        durable.make_dir(target)
    for name in lost:
        with durable.failures_named(target):
            durable.disk.rename(posixpath.join(source, name), posixpath.join(target, name))
    if lost:
        durable.sync_dir(target)
        durable.sync_dir(source)
    return [f"the bytes of {name} are in {posixpath.join(target, name)}" for name in lost]


def _put_in(copy: sqlite3.Connection, row: Row) -> str | None:
    try:
        insert(copy, row.table, (row.id, row.owner, row.created_at, row.tag, row.crc32, row.data))
    except sqlite3.IntegrityError as error:
        return f"it is there twice: {error}"
    return None


def compact(directory: str) -> tuple[int, int]:
    """Give the space of what was deleted back to the disk. Returns the database's bytes before and after."""
    path, new = posixpath.join(directory, NAME), posixpath.join(directory, f"{NAME}.compacted")
    with _alone(directory) as durable:
        with connected(directory):
            pass  # it is ours, and not newer
        Database(directory, durable).close()  # writes the log into the database
        before = os.path.getsize(path)
        _remove(new)
        _vacuum(path, new)
        _put(durable, new, path)
        return before, os.path.getsize(path)


def backup(directory: str, target: str) -> int:
    """Copy a data directory as it is at one moment. A server may go on meanwhile. Returns the bytes of the copy.

    target: a new or empty directory. Indexes of vector stores are not copied, since a server makes them again.
    """
    durable = Durable()
    durable.make_dir(target)
    if os.listdir(target):
        raise StoreError(f"{target} is not empty: name a new directory for the backup.")
    new = posixpath.join(target, f"{NAME}.tmp")
    with connected(directory):
        _vacuum(posixpath.join(directory, NAME), new)
    total = 0
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as copy:
        for table in [table for table in tables(copy) if table in CONTENTS]:
            for row in list(rows(copy, table)):
                place = CONTENTS[table].format(id=row.id, owner=row.owner)
                try:
                    total += _copy_bytes(durable, posixpath.join(directory, place), posixpath.join(target, place))
                except FileNotFoundError:  # deleted meanwhile
                    copy.execute(f"DELETE FROM {table} WHERE seq = ?", (row.seq,))
    _put(durable, new, posixpath.join(target, NAME))
    return total + os.path.getsize(posixpath.join(target, NAME))


@contextlib.contextmanager
def _alone(directory: str) -> Iterator[Durable]:
    durable = Durable()
    with contextlib.closing(DirectoryLock(directory, durable.disk)):
        yield durable


def _vacuum(path: str, new: str) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("VACUUM INTO ?", (new,))
    except sqlite3.Error as error:
        _remove(new)
        raise StoreError(f"{path} could not be copied to {new}: {error}.") from error


def _put(durable: Durable, new: str, path: str) -> None:
    """Put a finished database in its place."""
    fd = os.open(new, os.O_RDONLY)
    try:
        durable.sync_new(fd, new)
    finally:
        durable.close(fd)
    with durable.failures_named(path):
        durable.disk.rename(new, path)
    durable.sync_dir(posixpath.dirname(path))


def _copy_bytes(durable: Durable, source: str, target: str) -> int:
    with open(source, "rb") as file:
        durable.make_dir(posixpath.dirname(target))
        with durable.failures_named(target), open(target, "wb") as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            os.fsync(copy.fileno())
            size = copy.tell()
    durable.sync_dir(posixpath.dirname(target))
    return size


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
