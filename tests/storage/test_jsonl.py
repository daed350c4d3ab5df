"""An append survives or leaves no trace, and damage is distinguished from a torn tail."""

from __future__ import annotations

import errno
import json
import os
import random
from typing import Any

import pytest

from oxillama.errors import StoreDamagedError, StoreError, StoreFullError, StoreReadOnlyError
from oxillama.storage.durable import Durable
from oxillama.storage.jsonl import JsonlFile, encode_record
from tests.support.places import at
from tests.support.simulated_disk import SimulatedDisk

PATH = "/log.jsonl"
RECORDS: list[dict[str, Any]] = [{"n": n, "text": "wörter\n" * n} for n in range(4)]


def open_log(disk: SimulatedDisk) -> JsonlFile[dict[str, Any]]:
    return JsonlFile(Durable(disk), PATH, dict[str, Any])


def plain(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k not in ("crc32", "bytes")} for record in records]


def written(records: list[dict[str, Any]] = RECORDS) -> tuple[SimulatedDisk, bytes]:
    disk = SimulatedDisk()
    open_log(disk).append(records)
    return disk, disk.read(PATH)


def test_appended_records_are_read_back_in_order() -> None:
    disk, _ = written()
    assert plain(open_log(disk).read()) == RECORDS


def test_every_line_is_one_json_object() -> None:
    _, data = written()
    assert [json.loads(line)["n"] for line in data.decode().splitlines()] == [0, 1, 2, 3]


def test_a_missing_file_has_no_records() -> None:
    assert open_log(SimulatedDisk()).read() == []


@pytest.mark.parametrize("earlier", [0, 1, 3])
def test_a_tail_torn_at_any_offset_is_cut_and_the_next_append_is_clean(earlier: int) -> None:
    record = encode_record(RECORDS[3])
    for cut in range(1, len(record)):
        disk, data = written(RECORDS[:earlier])
        disk.overwrite(PATH, data + record[:cut])
        log = open_log(disk)
        with at(cut=cut):
            assert plain(log.read()) == RECORDS[:earlier]
            log.append([{"n": "next"}])
            assert plain(open_log(disk).read()) == [*RECORDS[:earlier], {"n": "next"}]


GARBAGE = {
    "zeros": bytes(300),
    "random": random.Random(7).randbytes(300),
    "newlines": b"\n\n\n",
    "half a json object": b'{"id": "msg_1", "con\n',
    "not utf-8": b"\xff\xfe\xfd\n",
    "a record whose middle was not written": encode_record({"text": "x" * 90})[:50] + bytes(50) + b'"}\n',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_after_the_last_record_is_cut_off(garbage: bytes) -> None:
    disk, data = written()
    disk.overwrite(PATH, data + garbage)
    log = open_log(disk)
    assert plain(log.read()) == RECORDS
    log.append([{"n": "next"}])
    assert disk.read(PATH) == data + encode_record({"n": "next"})


def test_a_changed_byte_anywhere_in_the_middle_is_reported() -> None:
    _, data = written()
    last_line = data.rstrip(b"\n").rindex(b"\n") + 1
    for at_byte in range(last_line):
        disk = SimulatedDisk()
        disk.overwrite(PATH, data[:at_byte] + bytes([data[at_byte] ^ 1]) + data[at_byte + 1 :])
        with at(byte=at_byte), pytest.raises(StoreDamagedError, match=PATH):
            open_log(disk).read()


def test_a_changed_byte_in_the_last_record_is_not_mistaken_for_a_torn_tail() -> None:
    _, data = written()
    disk = SimulatedDisk()
    disk.overwrite(PATH, data[:-10] + b"?" + data[-9:])
    with pytest.raises(StoreDamagedError, match="line 4"):
        open_log(disk).read()


def test_a_file_with_other_content_is_damaged_not_empty() -> None:
    disk = SimulatedDisk()
    disk.overwrite(PATH, b"this was a file of messages once\n")
    with pytest.raises(StoreDamagedError, match="not a record"):
        open_log(disk).read()


def test_an_append_to_a_damaged_file_is_refused() -> None:
    disk, data = written()
    disk.overwrite(PATH, b"x" + data[1:])
    with pytest.raises(StoreDamagedError):
        open_log(disk).append([{"n": 9}])
    assert disk.read(PATH) == b"x" + data[1:]


@pytest.mark.parametrize("taken", [0, 1, 40])
def test_a_full_disk_leaves_no_part_of_the_record(taken: int) -> None:
    disk, data = written()
    log = open_log(disk)
    log.read()
    first = disk.calls + 2  # open, write

    def fault(call: str, index: int) -> OSError | int | None:
        if call != "write":
            return None
        return taken if index == first and taken else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    disk.fault = fault
    with pytest.raises(StoreFullError, match="no space left"):
        log.append([{"text": "x" * 100}])
    assert disk.read(PATH) == data
    disk.fault = lambda call, index: None
    log.append([{"n": "space is back"}])
    assert plain(open_log(disk).read()) == [*RECORDS, {"n": "space is back"}]


def test_a_full_network_share_fails_at_the_fsync_and_keeps_no_record() -> None:
    disk, data = written()
    log = open_log(disk)
    log.read()
    failed: list[str] = []

    def fault(call: str, index: int) -> OSError | None:
        if call != "fsync" or failed:
            return None
        failed.append(call)
        return OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    disk.fault = fault
    with pytest.raises(StoreFullError, match="no space left"):
        log.append([{"n": 9}])
    assert disk.read(PATH) == data
    for seed in range(20):
        with at(seed=seed):
            assert plain(open_log(disk.after_power_cut(random.Random(seed))).read()) == RECORDS
    log.append([{"n": "space is back"}])
    assert plain(open_log(disk).read()) == [*RECORDS, {"n": "space is back"}]


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_close_that_repeats_the_error_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    disk, _ = written()
    log = open_log(disk)
    log.read()

    def close(fd: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(disk, "close", close)
    first = disk.calls + 4
    disk.fault = lambda name, n: OSError(errno.EDQUOT, "quota") if name == call and n < first else None
    with pytest.raises(StoreFullError):
        log.append([{"n": 9}])
    log.append([{"n": 10}])
    assert plain(open_log(disk).read()) == [*RECORDS, {"n": 10}]


def test_short_writes_are_continued() -> None:
    disk = SimulatedDisk()
    disk.fault = lambda call, index: 3 if call == "write" else None
    open_log(disk).append(RECORDS)
    assert plain(open_log(disk).read()) == RECORDS


def test_after_a_failed_fsync_nothing_more_is_written_even_if_the_disk_recovers() -> None:
    disk, _ = written()
    log = open_log(disk)
    disk.fault = lambda call, index: OSError(errno.EIO, "I/O error") if call == "fsync" else None
    with pytest.raises(StoreReadOnlyError, match="fsync"):
        log.append([{"n": 9}])
    disk.fault = lambda call, index: None
    before = disk.read(PATH), disk.calls
    with pytest.raises(StoreReadOnlyError, match="until the server is restarted"):
        log.append([{"n": 9}])
    assert (disk.read(PATH), disk.calls) == before


def test_an_append_whose_undo_fails_is_undone_by_the_next_one() -> None:
    disk, data = written()
    log = open_log(disk)
    log.read()

    def fault(call: str, index: int) -> OSError | int | None:
        if call == "truncate" or (call == "write" and disk.trace[-2:-1] == ["write"]):
            return OSError(errno.EIO, "I/O error")
        return 5 if call == "write" else None

    disk.fault = fault
    with pytest.raises(StoreError):
        log.append([{"n": 9}])
    assert disk.read(PATH) == data + encode_record({"n": 9})[:5]
    disk.fault = lambda call, index: None
    log.append([{"n": 10}])
    assert plain(open_log(disk).read()) == [*RECORDS, {"n": 10}]


def test_a_new_files_name_is_durable_when_the_append_returns() -> None:
    disk, _ = written()
    for seed in range(20):
        with at(seed=seed):
            assert plain(open_log(disk.after_power_cut(random.Random(seed))).read()) == RECORDS
