"""Files and uploads: what is stored is whole, also after power cuts and failures, and nothing is left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
import trio
import trio.testing

from oxillama.errors import (
    InvalidParameterError,
    ObjectNotFoundError,
    StateConflictError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
)
from oxillama.files.records import StoredFile, Upload, UploadPart
from oxillama.files.service import EXPIRY_INTERVAL_S, Files
from oxillama.files.service import open_files as serving
from oxillama.files.uploads import FORGOTTEN_AFTER_S
from oxillama.storage.data_dir import DataDir
from oxillama.storage.durable import Durable
from oxillama.storage.ids import new_id
from tests.support.simulated_disk import PowerCut, SimulatedDisk
from tests.support.stores import open_database


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def open_files(disk: SimulatedDisk, clock: Callable[[], float] | None = None) -> Files:
    files = Files("/data", open_database(disk), clock or Clock())
    files.clear()
    files.expire()
    return files


def add(files: Files, *parts: bytes, file_id: str | None = None, expires_at: int | None = None) -> StoredFile:
    file_id = file_id or new_id("file", separator="-")
    content = files.files.begin(file_id)
    try:
        for part in parts:
            content.write(part)
    except BaseException:
        files.files.discard(file_id, content)
        raise
    size = sum(map(len, parts))
    file = StoredFile(
        id=file_id, created_at=1000, filename="a.txt", purpose="assistants", bytes=size, expires_at=expires_at
    )
    return files.files.finish(file, content)


def begin(files: Files, size: int, after: int | None = None) -> Upload:
    upload = Upload(
        id=new_id("upload"),
        created_at=1000,
        filename="b.txt",
        purpose="assistants",
        bytes=size,
        mime_type="text/plain",
        expires_at=4600,
        file_expires_after=after,
    )
    return files.uploads.create(upload)


def add_part(files: Files, upload: Upload, data: bytes) -> UploadPart:
    part_id = new_id("part")
    content = files.uploads.begin_part(upload.id, part_id)
    content.write(data)
    part = UploadPart(id=part_id, created_at=1000, upload_id=upload.id, bytes=len(data))
    return files.uploads.finish_part(part, content)


def content_of(files: Files, file: StoredFile) -> bytes:
    return b"".join(files.files.parts(file.id))


def names(disk: SimulatedDisk, path: str) -> Sequence[str]:
    return disk.listdir(path)


def test_a_file_is_what_was_written_in_parts() -> None:
    disk = SimulatedDisk()
    files = open_files(disk)
    one, two = add(files, b"ab", b"", b"c" * 3), add(files)
    for opened in (files, open_files(disk)):
        assert [opened.files.get(f.id) for f in (one, two)] == opened.files.list() == [one, two]
        assert content_of(opened, one) == b"abccc"
        assert content_of(opened, two) == b""


def test_a_file_given_up_leaves_nothing() -> None:
    disk = SimulatedDisk()
    files = open_files(disk)
    content = files.files.begin("file-" + "x" * 24)
    content.write(b"ab")
    files.files.discard("file-" + "x" * 24, content)
    assert (names(disk, "/data/files"), files.files.list()) == ([], [])


def test_a_deleted_file_is_gone() -> None:
    disk = SimulatedDisk()
    files = open_files(disk)
    file = add(files, b"ab")
    files.files.delete(file.id)
    assert (names(disk, "/data/files"), files.files.list()) == ([], [])
    for act in (files.files.get, files.files.delete, lambda i: list(files.files.parts(i))):
        with pytest.raises(ObjectNotFoundError):
            act(file.id)


def test_an_expired_file_is_removed_when_it_is_met_and_at_start() -> None:
    disk, clock = SimulatedDisk(), Clock()
    files = open_files(disk, clock)
    met, listed, left, lasting = (add(files, b"x", expires_at=at) for at in (1010, 1010, 1010, None))
    clock.time = 1009.9
    assert files.files.get(met.id) == met
    clock.time = 1010
    with pytest.raises(ObjectNotFoundError):
        files.files.get(met.id)
    assert met.id not in names(disk, "/data/files")
    assert files.files.list() == [lasting]
    assert names(disk, "/data/files") == [lasting.id]
    assert listed.id != left.id


@pytest.mark.parametrize("seed", range(40))
def test_a_power_cut_leaves_whole_files_and_all_that_were_acknowledged(seed: int) -> None:
    rng = random.Random(seed)
    disk = SimulatedDisk()
    files = open_files(disk)
    wanted = {new_id("file", separator="-"): rng.randbytes(rng.randint(0, 300)) for _ in range(4)}
    disk.power_fails_at = disk.calls + rng.randint(1, 30)
    stored, deleted = set(), None
    try:
        for file_id, data in wanted.items():
            add(files, data[:100], data[100:], file_id=file_id)
            stored.add(file_id)
        deleted = next(iter(stored))
        stored.discard(deleted)
        files.files.delete(deleted)
    except PowerCut:
        pass
    after = disk.after_power_cut(rng)
    found = {file.id: content_of(files, file) for files in [open_files(after)] for file in files.files.list()}
    assert stored <= set(found)
    assert all(wanted[file_id] == data for file_id, data in found.items())
    assert set(names(after, "/data/files")) == set(found)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename", "mkdir", "fsync_dir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_every_failing_call_is_an_error_and_leaves_what_was_stored(call: str, code: int) -> None:
    at = 0
    while True:
        disk = SimulatedDisk()
        files = open_files(disk)
        kept = add(files, b"kept")
        seen = 0

        def fault(name: str, index: int, at: int = at) -> OSError | None:
            nonlocal seen
            seen += name == call
            return OSError(code, os.strerror(code)) if name == call and seen == at + 1 else None

        disk.fault = fault
        failed: StoreError | None = None
        try:
            add(files, b"ab", b"cd")
        except StoreError as error:
            failed = error
        if failed is None:
            break
        of_database = call == "fsync" and "store.db" in str(failed)  # where only a lasting lack of space is told apart
        full = code == errno.ENOSPC and call != "fsync_dir" and not of_database
        assert isinstance(failed, StoreFullError) == full
        disk.fault = lambda name, index: None
        for disk_after in (disk.after_kill(), disk.after_power_cut(random.Random(at))):
            opened = open_files(disk_after)
            assert content_of(opened, opened.files.get(kept.id)) == b"kept"
            assert len(opened.files.list()) <= 2  # after a failed fsync of the folder the file may be there
        at += 1
    assert at >= 1


def test_the_parts_become_a_file_in_the_given_order() -> None:
    disk = SimulatedDisk()
    files = open_files(disk)
    upload = begin(files, 5, after=7200)
    b, a = add_part(files, upload, b"cde"), add_part(files, upload, b"ab")
    done, file = files.uploads.complete(upload.id, [a.id, b.id], "ab56b4d92b40713acc5af89985d4b786")
    assert (done.status, done.file_id, file.bytes, file.expires_at) == ("completed", file.id, 5, 1000 + 7200)
    assert content_of(files, file) == b"abcde"
    assert files.uploads.complete(upload.id, [a.id]) == (done, file)  # the client asks again
    assert open_files(disk).uploads.complete(upload.id, []) == (done, file)
    assert names(disk, "/data/uploads") == []  # the parts are gone
    with pytest.raises(StateConflictError, match="completed"):
        files.uploads.cancel(upload.id)
    with pytest.raises(StateConflictError, match="completed"):
        add_part(files, upload, b"x")


def test_the_number_of_parts_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oxillama.files.uploads.MAX_PARTS", 5)
    disk = SimulatedDisk()
    files = open_files(disk)
    upload = begin(files, 100)
    for _ in range(5):
        add_part(files, upload, b"ab")
    for opened in (files, open_files(disk)):
        with pytest.raises(StateConflictError, match="has 5 parts already"):
            add_part(opened, upload, b"ab")
    assert len(names(disk, f"/data/uploads/{upload.id}/parts")) == 5


def test_files_and_uploads_of_an_earlier_version_are_taken_over() -> None:
    """There, their JSON was in a file beside the bytes."""
    disk = SimulatedDisk()
    durable = Durable(disk)
    file_id, upload_id, part_id = "file-" + "f" * 24, "upload_" + "u" * 24, "part_" + "p" * 24
    file = {"id": file_id, "created_at": 1, "filename": "a.txt", "purpose": "assistants", "bytes": 2, "sequence": 3}
    upload = {**file, "id": upload_id, "mime_type": "text/plain", "expires_at": 4600, "bytes": 3}
    part = {"id": part_id, "created_at": 1, "upload_id": upload_id, "bytes": 3}
    for place, head, value, content in (
        (f"/data/files/{file_id}", "file.json", file, b"ab"),
        (f"/data/uploads/{upload_id}", "upload.json", upload, None),
        (f"/data/uploads/{upload_id}/parts/{part_id}", "part.json", part, b"xyz"),
    ):
        durable.make_dir(place)
        durable.write_bytes(f"{place}/{head}", msgspec.json.encode(value))
        if content is not None:
            durable.write_bytes(f"{place}/content", content)
    files = open_files(disk)
    assert content_of(files, files.files.get(file_id)) == b"ab"
    with pytest.raises(InvalidParameterError, match="more than the 3 bytes"):
        add_part(files, files.uploads.get(upload_id), b"x")
    assert names(disk, f"/data/files/{file_id}") == ["content"]
    _, made = open_files(disk).uploads.complete(upload_id, [part_id])
    assert content_of(files, made) == b"xyz"


def test_a_part_too_many_is_refused_after_a_start_too() -> None:
    disk = SimulatedDisk()
    upload = begin(open_files(disk), 5)
    add_part(open_files(disk), upload, b"abc")
    files = open_files(disk)
    for _ in range(2):
        with pytest.raises(InvalidParameterError, match="more than the 5 bytes"):
            add_part(files, upload, b"def")
    add_part(files, upload, b"de")


def test_wrong_parts_sizes_and_checksums_are_refused_and_can_be_mended() -> None:
    files = open_files(SimulatedDisk())
    upload, other = begin(files, 3), begin(files, 3)
    part, foreign = add_part(files, upload, b"abc"), add_part(files, other, b"abc")
    for ids, md5, param in (
        ([part.id, foreign.id], None, "part_ids[1]"),
        (["part_" + "x" * 24], None, "part_ids[0]"),
        (["../../files"], None, "part_ids[0]"),
        ([part.id, part.id], None, "part_ids"),
        ([part.id, part.id, part.id], None, "part_ids"),
        ([], None, "part_ids"),
        ([part.id], "0" * 32, "md5"),
    ):
        with pytest.raises(InvalidParameterError) as caught:
            files.uploads.complete(upload.id, ids, md5)
        assert caught.value.param == param
    assert files.files.list() == []
    _, file = files.uploads.complete(upload.id, [part.id])
    assert content_of(files, file) == b"abc"


def test_parts_have_no_more_bytes_than_were_announced() -> None:
    disk = SimulatedDisk()
    files = open_files(disk)
    upload = begin(files, 5)
    add_part(files, upload, b"abc")
    with pytest.raises(InvalidParameterError, match="more than the 5 bytes"):
        add_part(files, upload, b"def")
    assert len(names(disk, f"/data/uploads/{upload.id}/parts")) == 1
    add_part(files, upload, b"de")


def test_an_upload_ends_by_cancelling_or_after_an_hour() -> None:
    disk, clock = SimulatedDisk(), Clock()
    files = open_files(disk, clock)
    cancelled, late, left = begin(files, 2), begin(files, 2), begin(files, 2)
    parts = [add_part(files, upload, b"ab") for upload in (cancelled, late, left)]
    assert files.uploads.cancel(cancelled.id).status == "cancelled"
    clock.time = 4600
    assert files.uploads.get(late.id).status == "expired"
    for upload, part in zip((cancelled, late, left), parts, strict=True):
        with pytest.raises(StateConflictError):
            files.uploads.complete(upload.id, [part.id])
    files.expire()
    assert names(disk, "/data/uploads") == []
    assert files.uploads.get(left.id).status == "expired"
    clock.time = 4599 + FORGOTTEN_AFTER_S
    files.expire()
    assert files.uploads.get(late.id).status == "expired"
    clock.time += 1
    files.expire()
    with pytest.raises(ObjectNotFoundError):
        files.uploads.get(late.id)


def test_a_damaged_upload_does_not_keep_others_from_ending() -> None:
    disk, clock = SimulatedDisk(), Clock()
    database = open_database(disk)
    files = Files("/data", database, clock)
    uploads = [begin(files, 1) for _ in range(3)]
    with database.change() as connection:
        connection.execute("UPDATE uploads SET data = '{' WHERE id = ?", (uploads[1].id,))
    clock.time = 4600 + FORGOTTEN_AFTER_S
    files.expire()
    for upload in uploads:
        kind = StoreDamagedError if upload is uploads[1] else ObjectNotFoundError
        with pytest.raises(kind):
            files.uploads.get(upload.id)


async def test_what_expires_is_removed_while_nobody_asks(autojump_clock: trio.testing.MockClock) -> None:
    async def at_once(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    disk, clock = SimulatedDisk(), Clock()
    data = SimpleNamespace(path="/data", database=open_database(disk), in_thread=at_once)
    async with serving(cast(DataDir, data), clock=clock) as files:
        await trio.testing.wait_all_tasks_blocked()  # it has looked once
        file, upload = add(files, b"x", expires_at=2000), begin(files, 1)
        add_part(files, upload, b"x")
        clock.time = 5000
        assert names(disk, "/data/files") == [file.id]
        await trio.sleep(EXPIRY_INTERVAL_S + 1)
        assert names(disk, "/data/files") == []
        assert names(disk, "/data/uploads") == []
        assert files.uploads.get(upload.id).status == "expired"


@pytest.mark.parametrize("seed", range(60))
def test_completing_over_a_power_cut_makes_one_file(seed: int) -> None:
    rng = random.Random(seed)
    disk, clock = SimulatedDisk(), Clock()
    files = open_files(disk, clock)
    upload = begin(files, 4)
    parts = [add_part(files, upload, data).id for data in (b"ab", b"cd")]
    disk.power_fails_at = disk.calls + rng.randint(1, 25)
    made = None
    with contextlib.suppress(PowerCut):
        _, made = files.uploads.complete(upload.id, parts)
    opened = open_files(disk.after_power_cut(rng), clock)
    done, file = opened.uploads.complete(upload.id, parts)
    assert made is None or file.id == made.id
    assert (done.status, opened.files.list()) == ("completed", [file])
    assert content_of(opened, file) == b"abcd"
