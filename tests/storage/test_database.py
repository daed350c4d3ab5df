"""Changes are all or nothing, commits are shared, and every failure of the disk is an honest error."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, get_args

import pytest

from oxillama.errors import StoreDamagedError, StoreError, StoreFullError, StoreReadOnlyError
from oxillama.storage.database import SCHEMA, Database, Durability
from oxillama.storage.durable import Durable
from tests.support.simulated_disk import CountingDisk, SimulatedDisk
from tests.support.stores import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def with_table(place: Any) -> Database:
    database = open_database(place)
    with database.change() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    return database


def add(database: Database, n: int) -> None:
    with database.change() as connection:
        connection.execute("INSERT INTO t VALUES (?)", (n,))


def numbers(database: Database) -> list[int]:
    with database.read() as connection:
        return [n for (n,) in connection.execute("SELECT n FROM t ORDER BY rowid")]


def failing(call: str, code: int, path: str = "") -> Any:
    return lambda name, index: OSError(code, os.strerror(code)) if name == call else None


def test_a_block_that_raises_changes_nothing() -> None:
    database = with_table(SimulatedDisk())
    with contextlib.suppress(KeyError), database.change() as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        raise KeyError
    add(database, 2)
    assert numbers(database) == [2]


def test_a_block_inside_another_is_undone_alone() -> None:
    database = with_table(SimulatedDisk())
    with database.change():
        add(database, 1)
        with contextlib.suppress(KeyError), database.change() as connection:
            connection.execute("INSERT INTO t VALUES (2)")
            raise KeyError
        assert numbers(database) == [1]
        add(database, 3)
    assert numbers(database) == [1, 3]


def test_a_read_sees_one_state_while_changes_go_on() -> None:
    database = with_table(SimulatedDisk())
    add(database, 1)
    with database.read():
        assert numbers(database) == [1]
        other = threading.Thread(target=add, args=(database, 2))
        other.start()
        other.join()
        assert numbers(database) == [1]
    assert numbers(database) == [1, 2]


def test_threads_that_change_at_the_same_time_share_a_sync() -> None:
    """While one commit is being synced, all that arrive wait, and are committed together."""
    disk = SlowDisk()
    database = with_table(disk)
    disk.slow = True
    before = disk.syncs
    first = threading.Thread(target=add, args=(database, 0))
    first.start()
    assert disk.syncing.wait(10)
    others = [threading.Thread(target=add, args=(database, n)) for n in range(1, 21)]
    for thread in others:
        thread.start()
    while database._waiting < 20:
        threading.Event().wait(0.001)
    disk.slow = False
    disk.go_on.set()
    for thread in (first, *others):
        thread.join()
    assert sorted(numbers(database)) == list(range(21))
    assert disk.syncs - before == 2


class SlowDisk(CountingDisk):
    """With `slow`, a sync waits until it may go on."""

    slow = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.syncing, self.go_on = threading.Event(), threading.Event()

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        if self.slow:
            self.syncing.set()
            self.go_on.wait(10)


def test_a_commit_that_fails_is_an_error_for_everyone_in_its_group() -> None:
    disk = SlowDisk()
    database = with_table(disk)
    disk.slow = True
    outcomes: dict[int, BaseException | None] = {}

    def attempt(n: int) -> None:
        try:
            add(database, n)
            outcomes[n] = None
        except StoreError as error:
            outcomes[n] = error

    first = threading.Thread(target=attempt, args=(0,))
    first.start()
    assert disk.syncing.wait(10)
    others = [threading.Thread(target=attempt, args=(n,)) for n in range(1, 6)]
    for thread in others:
        thread.start()
    while database._waiting < 5:
        threading.Event().wait(0.001)
    disk.fault = failing("write", errno.ENOSPC)
    disk.slow = False
    disk.go_on.set()
    for thread in (first, *others):
        thread.join()
    disk.fault = lambda call, index: None
    assert outcomes.pop(0) is None
    assert {type(error) for error in outcomes.values()} == {StoreFullError}
    assert len({id(error) for error in outcomes.values()}) == 5
    assert numbers(database) == [0]


@pytest.mark.parametrize(
    ("call", "code", "error"),
    [
        ("write", errno.ENOSPC, StoreFullError),
        ("write", errno.EDQUOT, StoreFullError),
        ("write", errno.EIO, StoreError),
        ("fsync", errno.EDQUOT, StoreFullError),
        ("fsync", errno.EIO, StoreReadOnlyError),
    ],
)
def test_a_failing_call_is_reported_as_what_it_is(call: str, code: int, error: type[StoreError]) -> None:
    disk = SimulatedDisk()
    database = with_table(disk)
    add(database, 1)
    disk.fault = failing(call, code)
    with pytest.raises(StoreError) as caught:
        add(database, 2)
    assert type(caught.value) is error
    assert "/data" in str(caught.value)
    disk.fault = lambda name, index: None
    assert numbers(database) == [1]
    if error is StoreReadOnlyError:
        with pytest.raises(StoreReadOnlyError, match="until the server is restarted"):
            add(database, 3)
        assert numbers(open_database(disk.after_kill()))[:1] == [1]
        return
    add(database, 3)
    assert not database.durable.is_full
    assert numbers(database) == numbers(open_database(disk.after_kill())) == [1, 3]


@pytest.mark.parametrize("taken", [1, 100, 4000])
def test_short_writes_are_continued(taken: int) -> None:
    disk = SimulatedDisk()
    database = with_table(disk)
    disk.fault = lambda call, index: taken if call == "write" else None
    add(database, 1)
    assert numbers(open_database(disk.after_kill())) == [1]


def test_durability_os_leaves_syncing_to_the_system(tmp_path: Path) -> None:
    synced: dict[Durability, int] = {}
    for durability in get_args(Durability):
        disk = CountingDisk()
        durable = Durable(disk)
        durable.make_dir("/data")
        with contextlib.closing(Database("/data", durable, durability)) as database:
            with database.change() as connection:
                connection.execute("CREATE TABLE t (n INTEGER)")
            before = disk.syncs
            for n in range(10):
                add(database, n)
            synced[durability] = disk.syncs - before
            assert numbers(open_database(disk.after_kill())) == list(range(10))
    assert synced == {"full": 10, "os": 0}


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    open_database(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        yield connection


def test_a_directory_of_a_newer_version_is_refused_with_one_line(tmp_path: Path, raw: sqlite3.Connection) -> None:
    raw.execute(f"PRAGMA user_version={SCHEMA + 1}")
    with pytest.raises(StoreError) as caught:
        open_database(tmp_path)
    expected = "was written by a newer version of oxillama: update it, or give another --data-dir."
    assert str(caught.value) == f"{tmp_path}/store.db {expected}"


@pytest.mark.parametrize("data", [b"not a database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "store.db").write_bytes(data)
    with pytest.raises(StoreDamagedError, match=f"oxillama data repair {tmp_path}"):
        open_database(tmp_path)
    assert (tmp_path / "store.db").read_bytes() == data


def test_a_page_that_was_overwritten_is_an_error_for_what_lies_on_it(tmp_path: Path) -> None:
    database = with_table(tmp_path)
    with database.change() as connection:
        connection.execute("CREATE TABLE u (n TEXT)")
        connection.executemany("INSERT INTO u VALUES (?)", [("x" * 3000,) for _ in range(50)])
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'u'").fetchone()[0]
        connection.execute("INSERT INTO t VALUES (1)")
    database.close()
    with open(tmp_path / "store.db", "r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    database = open_database(tmp_path)
    assert numbers(database) == [1]
    with pytest.raises(StoreDamagedError, match="oxillama data repair"), database.read() as connection:
        connection.execute("SELECT * FROM u").fetchall()


def test_what_is_deleted_leaves_no_bytes(tmp_path: Path) -> None:
    database = with_table(tmp_path)
    with database.change() as connection:
        connection.execute("CREATE TABLE u (n TEXT)")
        connection.execute("INSERT INTO u VALUES ('a secret')")
    with database.change() as connection:
        connection.execute("DELETE FROM u")
    database.close()
    assert not any(b"a secret" in file.read_bytes() for file in tmp_path.iterdir())


def test_the_reserve_is_kept_released_and_taken_again() -> None:
    disk = SimulatedDisk()
    database = with_table(disk)
    assert disk.isfile("/data/reserve")
    disk.fault = lambda call, index: (
        OSError(errno.ENOSPC, "full") if call == "write" and disk.isfile("/data/reserve") else None
    )
    with pytest.raises(StoreFullError):
        add(database, 1)
    database.freeing(lambda: add(database, 2))
    assert numbers(database) == [2]
    assert disk.isfile("/data/reserve")
    disk.fault = failing("write", errno.ENOSPC)
    with pytest.raises(StoreFullError):
        database.freeing(lambda: add(database, 3))
    assert numbers(database) == [2]


class TakenByAnother(list[sqlite3.Connection]):
    """Connections of which the last one goes between a look and the taking."""

    def __len__(self) -> int:
        return 1


def test_a_reader_that_another_thread_takes_first_is_replaced() -> None:
    database = with_table(SimulatedDisk())
    add(database, 1)
    database._readers = TakenByAnother()
    assert numbers(database) == [1]
    database._readers = []
