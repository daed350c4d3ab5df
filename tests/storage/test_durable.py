"""A file is old or new, a directory exists or not, and a failed fsync is never forgotten."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import stat
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oxillama.errors import StoreError, StoreFullError, StoreReadOnlyError
from oxillama.gguf import GGUFWriter
from oxillama.storage.durable import Durable
from oxillama.storage.lock import DirectoryLock
from tests.support.places import at
from tests.support.simulated_disk import PowerCut, SimulatedDisk

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = b"old", b"new" * 100


def with_old() -> tuple[SimulatedDisk, Durable]:
    disk = SimulatedDisk()
    durable = Durable(disk)
    durable.make_dir("/d")
    durable.write_bytes("/d/f.json", OLD)
    return disk, durable


def no(call: str, code: int) -> Any:
    return lambda name, index: OSError(code, os.strerror(code)) if name == call else None


def test_a_replaced_file_is_old_or_new_after_a_power_cut_at_any_step() -> None:
    found = set()
    for step in range(1, 8):
        for seed in range(30):
            disk, durable = with_old()
            disk.power_fails_at = disk.calls + step
            done = False
            try:
                durable.write_bytes("/d/f.json", NEW)
                done = True
            except PowerCut:
                pass
            after = Durable(disk.after_power_cut(random.Random(seed)))
            with at(step=step, seed=seed):
                value = after.read_bytes("/d/f.json")
                assert value in ((NEW,) if done else (OLD, NEW))
            found.add(value[:3])
    assert found == {b"old", b"new"}


@pytest.mark.parametrize("call", ["open", "write", "rename"])
def test_a_failed_replacement_leaves_only_the_old_file(call: str) -> None:
    disk, durable = with_old()
    disk.fault = no(call, errno.ENOSPC)
    with pytest.raises(StoreFullError, match=r"/d/f\.json"):
        durable.write_bytes("/d/f.json", NEW)
    disk.fault = lambda name, index: None
    assert durable.read_bytes("/d/f.json") == OLD
    assert disk.listdir("/d") == ["f.json"]
    durable.write_bytes("/d/f.json", NEW)


def test_no_space_at_the_fsync_of_an_unused_file_does_not_make_the_store_read_only() -> None:
    disk, durable = with_old()
    disk.fault = no("fsync", errno.ENOSPC)
    with pytest.raises(StoreFullError):
        durable.write_bytes("/d/f.json", NEW)
    disk.fault = lambda name, index: None
    durable.write_bytes("/d/f.json", NEW)


@pytest.mark.parametrize(("call", "there"), [("fsync", OLD), ("fsync_dir", NEW)])
def test_after_a_failed_fsync_every_change_is_refused_and_reading_still_works(call: str, there: bytes) -> None:
    disk, durable = with_old()
    disk.fault = no(call, errno.EIO)
    with pytest.raises(StoreReadOnlyError):
        durable.write_bytes("/d/f.json", NEW)
    disk.fault = lambda name, index: None
    before = disk.calls
    for change in (
        lambda: durable.write_bytes("/d/g.json", NEW),
        lambda: durable.make_dir("/e"),
        lambda: durable.remove_file("/d/f.json"),
        lambda: durable.retire("/d"),
    ):
        with pytest.raises(StoreReadOnlyError, match="restarted"):
            change()
    assert disk.calls == before
    assert durable.read_bytes("/d/f.json") == there


def test_created_and_removed_objects_stay_so_after_a_power_cut() -> None:
    disk, durable = with_old()
    durable.make_dir("/x/y/z")
    durable.write_bytes("/x/y/z/f", NEW)
    durable.remove_file("/d/f.json")
    for seed in range(20):
        with at(seed=seed):
            after = disk.after_power_cut(random.Random(seed))
            assert after.listdir("/d") == []
            assert after.listdir("/x/y/z") == ["f"]


def test_a_removed_tree_is_gone_even_if_its_parts_cannot_be_removed() -> None:
    disk, durable = with_old()
    disk.fault = no("unlink", errno.EIO)
    durable.retire("/d")
    assert not disk.isdir("/d")
    assert durable.list_dir("/") == []


def test_a_directory_keeps_its_bytes_under_another_name() -> None:
    disk, durable = with_old()
    durable.retire("/d", "e")
    durable.retire("/d", "f")
    assert disk.listdir("/") == ["e"]
    assert durable.read_bytes("/e/f.json") == OLD


def test_a_missing_file_raises_file_not_found_error() -> None:
    with pytest.raises(FileNotFoundError):
        Durable(SimulatedDisk()).read_bytes("/x")


def test_the_real_disk_behaves_like_the_simulated_one(tmp_path: Path) -> None:
    durable = Durable()
    durable.make_dir(f"{tmp_path}/a/b")
    durable.write_bytes(f"{tmp_path}/a/b/f.json", OLD)
    durable.write_bytes(f"{tmp_path}/a/b/f.json", NEW)
    assert durable.read_bytes(f"{tmp_path}/a/b/f.json") == NEW
    assert durable.list_dir(f"{tmp_path}/a/b") == ["f.json"]
    durable.retire(f"{tmp_path}/a")
    assert list(tmp_path.iterdir()) == []


NO_SUCH_CALL = [errno.EBADF, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EISDIR, errno.EACCES]


@pytest.mark.parametrize(("code", "accepted"), [*((code, True) for code in NO_SUCH_CALL), (errno.EIO, False)])
def test_only_a_file_system_without_an_fsync_of_directories_is_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, accepted: bool
) -> None:
    real = os.fsync

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(code, os.strerror(code))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    durable = Durable()
    if accepted:
        durable.write_bytes(f"{tmp_path}/f.json", NEW)
    else:
        with pytest.raises(StoreReadOnlyError):
            durable.write_bytes(f"{tmp_path}/f.json", NEW)


@pytest.mark.parametrize(("code", "accepted"), [(errno.EINVAL, True), (errno.ENOSYS, True), (errno.EIO, False)])
def test_only_a_file_system_without_an_fsync_of_files_is_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, accepted: bool
) -> None:
    def fsync(fd: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    durable = Durable()
    if accepted:
        durable.write_bytes(f"{tmp_path}/f.json", NEW)
        assert durable.read_bytes(f"{tmp_path}/f.json") == NEW
    else:
        with pytest.raises(StoreReadOnlyError):
            durable.write_bytes(f"{tmp_path}/f.json", NEW)


F_FULLFSYNC = 51  # its number on macOS


def test_on_macos_fsync_flushes_the_drive_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For both users of `Disk`: the store and the GGUF writer."""
    flushed: list[str] = []

    def full_sync(fd: int, command: int) -> int:
        assert command == F_FULLFSYNC
        flushed.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        return 0

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", F_FULLFSYNC, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", full_sync)
    Durable().write_bytes(f"{tmp_path}/f.json", NEW)
    assert flushed == [".f.json.tmp", tmp_path.name]
    flushed.clear()
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add_tensor("t", np.zeros(4, np.float32))
    assert len(flushed) == 1
    assert flushed[0].startswith(".x.gguf.")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF])
def test_a_file_system_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    def flock(fd: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    DirectoryLock(str(tmp_path)).close()
    assert f"let only one server use the data directory: path {tmp_path}" in caplog.text


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EACCES, "in use by another"), (errno.EIO, "cannot be locked: Input/output error")]
)
def test_a_failed_lock_reports_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def flock(fd: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreError, match=words):
        DirectoryLock(str(tmp_path))


def test_a_directory_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    with closing(DirectoryLock(str(tmp_path))), pytest.raises(StoreError, match="in use by another"):
        DirectoryLock(str(tmp_path))
    DirectoryLock(str(tmp_path)).close()
