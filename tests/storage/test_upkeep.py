"""check finds damage, repair keeps all the rest, compact gives space back, and a backup is a data directory."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import zlib
from pathlib import Path

import pytest
import typer

from oxillama.cli.commands.data import data
from oxillama.errors import StoreDamagedError, StoreError
from oxillama.files.records import StoredFile
from oxillama.files.service import Files
from oxillama.storage.lock import DirectoryLock
from oxillama.storage.system import SystemDisk
from oxillama.storage.upkeep import work
from tests.support.records import NOW, a_message, a_thread
from tests.support.stores import damage, open_database, open_store, rows

FILE = "file-" + "f" * 24


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Fifty threads with a message each, and a file."""
    folder = tmp_path / "data"
    database = open_database(folder)
    files = Files(str(folder), database, lambda: NOW)
    content = files.files.begin(FILE)
    content.write(b"abc")
    file = StoredFile(id=FILE, created_at=NOW, filename="a", purpose="assistants", bytes=3)
    files.files.finish(file, content)
    database.close()
    store = open_store(folder)
    for n in range(50):
        store.threads.create(a_thread(), [a_message(f"message {n} " + "x" * 1000)])
    store._database.close()
    return folder


def texts(folder: Path) -> set[str]:
    store = open_store(folder)
    found = {store.messages.list(thread)[0].text_content.partition(" x")[0] for thread in store.threads.ids()}
    store._database.close()
    return found


def overwrite_pages(folder: Path, text: bytes) -> int:
    """Destroy the pages that hold a text."""
    path = folder / "store.db"
    found, content = 0, bytearray(path.read_bytes())
    for at in range(4096, len(content), 4096):
        if text in content[at : at + 4096]:
            content[at : at + 4096] = b"\xee" * 4096
            found += 1
    path.write_bytes(content)
    return found


def test_a_sound_directory_has_no_damage(place: Path) -> None:
    assert list(work.check(str(place))) == []
    assert work.repair(str(place)) == []
    assert not (place / "store.db.damaged").exists()


def test_damaged_rows_and_missing_bytes_are_found_and_taken_out(place: Path) -> None:
    first, second = list(rows(place, "messages"))[:2]
    damage(place, "messages", first, "{")
    damage(place, "messages", second, '{"a":1}', crc32=5)
    (place / "files" / FILE / "content").write_bytes(b"ab")
    found = list(work.check(str(place)))
    assert [line.split(":")[0] for line in found] == [f"files {FILE}", f"messages {first}", f"messages {second}"]
    assert "has 2 bytes instead of 3" in found[0]
    done = work.repair(str(place))
    assert "kept 48 messages, 50 threads" in done
    assert list(work.check(str(place))) == []
    assert (place / "damaged.jsonl").read_text().count("\n") == 3
    assert len(rows(place, "messages")) == 48
    assert (place / "store.db.damaged").exists()


def test_what_lies_on_destroyed_pages_is_lost_and_the_rest_is_kept(place: Path) -> None:
    before = texts(place)
    assert overwrite_pages(place, b"message 7 xxx") == 1
    assert next(work.check(str(place))).startswith("store.db: ")
    work.repair(str(place))
    assert list(work.check(str(place))) == []
    after = {entry["content"][0]["text"]["value"].partition(" x")[0] for entry in rows(place, "messages").values()}
    assert "message 7" not in after
    assert len(before - after) <= 4  # as many as a page holds
    store = open_store(place)
    store.threads.create(a_thread(), [a_message("goes on")])


@pytest.mark.parametrize("damaged", ["CAST(data || x'ff' AS TEXT)", "CAST(data AS BLOB)", "'[1]'"])
def test_one_odd_row_is_named_and_taken_out(place: Path, damaged: str) -> None:
    store = open_store(place)
    thread = store.threads.create(a_thread(), [a_message("one"), a_message("two"), a_message("three")]).id
    first = store.messages.list(thread)[0].id
    store._database.close()
    with contextlib.closing(sqlite3.connect(place / "store.db")) as connection:
        connection.execute(f"UPDATE messages SET data = {damaged} WHERE id = ?", (first,))
        connection.execute("UPDATE messages SET crc32 = ? WHERE data = '[1]'", (zlib.crc32(b"[1]"),))
        connection.commit()
    store = open_store(place)
    with pytest.raises(StoreDamagedError, match=f"message {first} "):
        store.messages.list(thread)
    store._database.close()
    assert [line.split(":")[0] for line in work.check(str(place))] == [f"messages {first}"]
    assert "kept 1 files, 52 messages, 51 threads" in work.repair(str(place))
    assert list(work.check(str(place))) == []


def test_the_front_of_a_database_that_is_cut_off_is_kept(place: Path) -> None:
    content = (place / "store.db").read_bytes()
    (place / "store.db").write_bytes(content[: content.index(b"message 30 xxx") // 4096 * 4096])
    assert next(work.check(str(place))).startswith("store.db: ")
    work.repair(str(place))
    assert list(work.check(str(place))) == []
    assert len(rows(place, "messages")) >= 20


def test_tables_are_kept_beside_one_whose_definition_is_damaged(place: Path) -> None:
    content = (place / "store.db").read_bytes()
    (place / "store.db").write_bytes(content.replace(b"CREATE TABLE runs (", b"CREATE TABLE r`ns (", 1))
    assert next(work.check(str(place))).startswith("store.db: ")
    work.repair(str(place))
    assert texts(place) == {f"message {n}" for n in range(50)}


@pytest.mark.parametrize("seed", range(4))
def test_random_damage_ends_with_a_sound_database(place: Path, seed: int) -> None:
    rng, content = random.Random(seed), bytearray((place / "store.db").read_bytes())
    for _ in range(50):
        content[rng.randrange(100, len(content))] ^= 1 << rng.randrange(8)
    (place / "store.db").write_bytes(content)
    work.repair(str(place))
    assert list(work.check(str(place))) == []


def test_compacting_gives_space_back_and_keeps_everything(place: Path) -> None:
    expected = texts(place)
    store = open_store(place)
    big = store.threads.create(a_thread(), [a_message("y" * 10_000) for _ in range(200)])
    store.threads.delete(big.id)
    store._database.close()
    before, after = work.compact(str(place))
    assert before > 2_000_000 > after
    assert texts(place) == expected


def test_a_backup_of_a_directory_in_use_is_a_data_directory(place: Path, tmp_path: Path) -> None:
    store = open_store(place)
    late = store.threads.create(a_thread(), [a_message("late")])
    copy = tmp_path / "copies" / "one"
    with DirectoryLockHeld(place):
        assert work.backup(str(place), str(copy)) > 3
    store.threads.delete(late.id)
    assert texts(copy) == {f"message {n}" for n in range(50)} | {"late"}
    files = Files(str(copy), open_database(copy), lambda: NOW)
    files.clear()
    assert b"".join(files.files.parts(FILE)) == b"abc"
    assert list(work.check(str(copy))) == []
    with pytest.raises(StoreError, match="is not empty"):
        work.backup(str(place), str(copy))


class DirectoryLockHeld:
    """As a running server holds it."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        self._lock = DirectoryLock(str(self._place))

    def __exit__(self, *error: object) -> None:
        self._lock.close()


def test_repairing_and_compacting_want_the_directory_alone(place: Path) -> None:
    damage(place, "messages", next(iter(rows(place, "messages"))), "{")
    with DirectoryLockHeld(place):
        for act in (work.repair, work.compact):
            with pytest.raises(StoreError, match="in use by another"):
                act(str(place))


def test_a_directory_without_a_database_is_named(tmp_path: Path) -> None:
    for act in (lambda: list(work.check(str(tmp_path))), lambda: work.backup(str(tmp_path), str(tmp_path / "b"))):
        with pytest.raises(StoreError, match=r"store\.db does not exist"):
            act()


def test_the_command(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data("check", place)
    data("backup", place, tmp_path / "copy")
    data("compact", place)
    damage(place, "threads", next(iter(rows(place, "threads"))), "{")
    with pytest.raises(typer.Exit) as ended:
        data("check", place)
    assert ended.value.exit_code == 1
    data("repair", place)
    data("repair", place)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[-1] == "no damage found"
    assert any("bytes copied" in line for line in lines)


@pytest.mark.parametrize("name", ["store.db.damaged", "store.db"])
def test_an_interrupted_repair_is_finished_by_the_next_one(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Interrupted before the old database, or the new one, is put in its place."""
    (place / "store.db.damaged-wal").write_bytes(b"of an earlier repair")
    damage(place, "messages", next(iter(rows(place, "messages"))), "{")
    real = SystemDisk.rename

    def rename(disk: SystemDisk, source: str, target: str) -> None:
        if target == str(place / name):
            raise KeyboardInterrupt
        real(disk, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(SystemDisk, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            work.repair(str(place))
    if name == "store.db":
        with pytest.raises(StoreError, match="interrupted"):
            open_database(place)
    work.repair(str(place))
    assert list(work.check(str(place))) == []
    assert len(rows(place, "messages")) == 49
    assert (place / "store.db.damaged").exists()
    assert not (place / "store.db.repaired").exists()
    assert not (place / "store.db.damaged-wal").exists()


def test_the_bytes_of_a_file_that_is_taken_out_outlive_the_next_start(place: Path) -> None:
    damage(place, "files", FILE, "{")
    saved = place / "files.damaged" / FILE
    assert f"the bytes of {FILE} are in {saved}" in work.repair(str(place))
    database = open_database(place)
    Files(str(place), database, lambda: NOW).clear()
    database.close()
    assert (saved / "content").read_bytes() == b"abc"
    assert not (place / "files" / FILE).exists()
