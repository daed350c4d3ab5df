"""The SQLite database of a data directory: changes that are committed in groups, and reads beside them.

One connection writes. A block of `change` runs while no other does. When the last block that waits has run, all of
them are committed together, and each of their threads goes on when that commit is on disk. So the cost of an fsync is
shared, and nobody waits for company. Reads have connections of their own and see the last commit.

The journal is a write-ahead log. With durability `full`, a commit is synced before it is acknowledged and survives a
power cut. With `os`, the system writes it when it likes: it survives a kill of the process, and a power cut may take
the last seconds, but never leaves part of a change.
"""

from __future__ import annotations

import contextlib
import functools
import posixpath
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

from oxillama.errors import StoreDamagedError, StoreError, StoreFullError
from oxillama.storage.durable import Durable
from oxillama.storage.reserve import Reserve

T = TypeVar("T")

Durability = Literal["full", "os"]

NAME = "store.db"
REPAIRED = "store.db.repaired"
"""What a repair has made and not yet put in the database's place."""

SCHEMA = 1
"""The version of the tables. A database with a higher one is refused."""

APPLICATION_ID = 0x6F78696C  # "oxil", in the file's header
READERS = 4
_PAGE_CACHES = {"write": -4096, "read": -1024}  # KiB
_MAX_GROUP = 256
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SYNC_FAILED = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})


def connect(uri: str) -> sqlite3.Connection:
    """A connection for any thread. Bytes that are not UTF-8 come from damage, so they are read as replaced characters:
    the row's checksum is wrong then, and the rows beside it can be read."""
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
    return connection


class _Group:
    """Blocks that are committed together. error: why none of them was."""

    def __init__(self) -> None:
        self.size = 0
        self.over = False
        self.error: StoreError | None = None


class Database:
    """An open database. Safe to use from several threads; only one process may open it.

    Methods raise StoreFullError (no space, undone), StoreReadOnlyError (an fsync failed, now or earlier),
    StoreDamagedError or StoreError. The constructor creates the database if there is none, and raises StoreError for
    one that a newer version has written.
    """

    def __init__(self, directory: str, durable: Durable, durability: Durability = "full") -> None:
        self.path = posixpath.join(directory, NAME)
        self.durable = durable
        self._durability = durability
        lock = threading.Lock()
        self._turn = threading.Condition(lock)
        self._committed = threading.Condition(lock)
        self._waiting = 0
        self._busy = False
        self._group: _Group | None = None
        self._mine = threading.local()  # .connection: of the block that this thread is in
        self._readers: list[sqlite3.Connection] = []
        self._reader_places = threading.BoundedSemaphore(READERS)
        self._reserve = Reserve(directory, durable)
        self._writer = self.freeing(self._opened)
        self._reserve.fill()

    # -- changes -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A block whose statements are all made, or none. When it is left, they are on disk.

        A block inside another one is part of it, and is undone alone if it raises.
        """
        if self._inside() is self._writer:
            with self._undone_on_error(), self._failures_named():
                yield self._writer
            return
        assert self._inside() is None, "a change cannot begin inside a read"
        self.durable.require_writable()
        group = self._enter()
        self._mine.connection = self._writer
        try:
            with self._failures_named():
                if not self._writer.in_transaction:
                    self._writer.execute("BEGIN IMMEDIATE")
                with self._undone_on_error():
                    yield self._writer
        except StoreError as error:
            if not self._writer.in_transaction:  # SQLite has undone the blocks before this one too
                group.error = error
            raise
        finally:
            self._mine.connection = None
            self._leave(group)
        if group.error is not None:
            raise type(group.error)(str(group.error)) from group.error  # each thread adds a traceback to its own

    @contextlib.contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        connection = self._writer
        connection.execute("SAVEPOINT block")
        try:
            yield
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK TO block")
                connection.execute("RELEASE block")
            raise
        connection.execute("RELEASE block")

    def _enter(self) -> _Group:
        with self._turn:
            self._waiting += 1
            try:
                while self._busy:
                    self._turn.wait()
            finally:
                self._waiting -= 1
            self._busy = True
            if self._group is None:
                self._group = _Group()
            self._group.size += 1
            return self._group

    def _leave(self, group: _Group) -> None:
        """Let the next block join the group, or commit it. Returns when the group is over."""
        with self._turn:
            if self._waiting and group.size < _MAX_GROUP and group.error is None:
                self._busy = False
                self._turn.notify()
                while not group.over:
                    self._committed.wait()
                return
        try:
            if group.error is None:
                group.error = self._commit()
        finally:
            with self._turn:
                group.over = True
                self._group = None
                self._busy = False
                self._committed.notify_all()
                self._turn.notify()

    def _commit(self) -> StoreError | None:
        if not self._writer.in_transaction:
            return None
        try:
            with self._failures_named():
                self._writer.execute("COMMIT")
        except StoreError as error:
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            return error
        self.durable.is_full = False
        return None

    def freeing(self, work: Callable[[], T]) -> T:
        """Do work that must succeed on a full disk too: deleting, ending a run, opening.

        The space that is kept in reserve is released for it. `work` is called again after a StoreFullError.
        """
        try:
            return work()
        except StoreFullError:
            if not self._reserve.release():
                raise
        try:
            return work()
        finally:
            self._shrink_log()
            self._reserve.fill()

    def _shrink_log(self) -> None:
        with contextlib.suppress(sqlite3.Error, StoreError):
            connection = self._connect("write")
            with contextlib.closing(connection):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- reads ---------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A block that sees one state of the database: the last commit, or the surrounding block's changes."""
        inside = self._inside()
        if inside is not None:
            with self._failures_named():
                yield inside
            return
        with self._reader_places, self._failures_named():
            try:
                connection = self._readers.pop()
            except IndexError:  # one step, because other threads take them too
                connection = self._connect("read")
            self._mine.connection = connection
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._mine.connection = None
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._readers.append(connection)

    def _inside(self) -> sqlite3.Connection | None:
        return getattr(self._mine, "connection", None)

    def close(self) -> None:
        """Close all connections. The log is written into the database and removed."""
        while self._readers:
            self._readers.pop().close()
        self._writer.close()

    # -- opening -------------------------------------------------------------------------------------------------------

    def _connect(self, use: str) -> sqlite3.Connection:
        with self._failures_named():
            connection = connect(self.durable.disk.database_uri(self.path))
            connection.execute(f"PRAGMA cache_size={_PAGE_CACHES[use]}")
            if use == "read":
                connection.execute("PRAGMA query_only=1")
            return connection

    def _opened(self) -> sqlite3.Connection:
        directory, isfile = posixpath.dirname(self.path), self.durable.disk.isfile
        if isfile(posixpath.join(directory, REPAIRED)) and not isfile(self.path):  # an empty one would hide everything
            raise StoreError(f"The repair of {self.path} was interrupted. Run again: oxillama data repair {directory}")
        writer = self._connect("write")
        try:
            with self._failures_named():
                self._prepare(writer)
        except BaseException:
            writer.close()
            raise
        return writer

    def _prepare(self, writer: sqlite3.Connection) -> None:
        (version,) = writer.execute("PRAGMA user_version").fetchone()
        (application,) = writer.execute("PRAGMA application_id").fetchone()
        if version > SCHEMA:
            message = f"{self.path} was written by a newer version of oxillama: update it, or give another --data-dir."
            raise StoreError(message)
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={'FULL' if self._durability == 'full' else 'NORMAL'}",
            "fullfsync=1",
            "checkpoint_fullfsync=1",
            "secure_delete=1",  # what was deleted is overwritten
            "temp_store=MEMORY",
            "journal_size_limit=16777216",
        ):
            writer.execute(f"PRAGMA {pragma}").fetchone()
        if application != APPLICATION_ID:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute(f"PRAGMA application_id={APPLICATION_ID}")
            writer.execute(f"PRAGMA user_version={SCHEMA}")
            writer.execute("COMMIT")
            self.durable.sync_dir(posixpath.dirname(self.path))

    # -- failures ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._named(error) from error

    def _named(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE or self._is_over_quota(code):
            return self.durable.no_space(self.path)
        if code in _SYNC_FAILED:
            return self.durable.read_only(self.path, "I/O error")
        if code & 0xFF in DAMAGED:
            directory = posixpath.dirname(self.path)
            return StoreDamagedError(
                f"{self.path} is damaged ({error}). Stop the server and run: oxillama data repair {directory}"
            )
        return StoreError(f"{self.path} could not be read or written: {error}.")

    def _is_over_quota(self, code: int) -> bool:
        """Whether a call failed for want of space. SQLite tells only ENOSPC from other failures of a write.

        Network shares report it at the fsync. Nothing relies on those bytes: the log goes on in front of them.
        """
        if code != sqlite3.SQLITE_IOERR_WRITE and code not in _SYNC_FAILED:
            return False
        self.durable.try_to_write(posixpath.dirname(self.path))
        return self.durable.is_full
