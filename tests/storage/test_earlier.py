"""Files of records from earlier versions: damage is distinguished from a torn tail."""

from __future__ import annotations

import random
import zlib
from typing import Any

import msgspec
import pytest

from oxillama.errors import StoreDamagedError
from oxillama.storage.durable import Durable
from oxillama.storage.earlier.folders import heads, json_files
from oxillama.storage.earlier.lines import split_records
from tests.support.places import at
from tests.support.simulated_disk import SimulatedDisk

RECORDS: list[dict[str, Any]] = [{"n": n, "text": "wörter\n" * n} for n in range(4)]


def encode_record(value: Any) -> bytes:
    body = msgspec.json.encode(value)[1:]
    return b'{"crc32":"%08x","bytes":%d,' % (zlib.crc32(body), len(body)) + body + b"\n"


def read(data: bytes) -> tuple[list[dict[str, Any]], StoreDamagedError | None]:
    records, damage = split_records(data, "log")
    plain = [msgspec.json.decode(record) for record in records]
    return [{k: v for k, v in record.items() if k not in ("crc32", "bytes")} for record in plain], damage


WHOLE = b"".join(map(encode_record, RECORDS))


def test_whole_records_are_read_in_order() -> None:
    assert read(WHOLE) == (RECORDS, None)
    assert read(b"") == ([], None)


@pytest.mark.parametrize("earlier", [0, 1, 3])
def test_a_tail_torn_at_any_offset_is_left_out(earlier: int) -> None:
    record = encode_record(RECORDS[3])
    for cut in range(1, len(record)):
        with at(cut=cut):
            data = b"".join(map(encode_record, RECORDS[:earlier])) + record[:cut]
            assert read(data) == (RECORDS[:earlier], None)


GARBAGE = {
    "zeros": bytes(300),
    "random": random.Random(7).randbytes(300),
    "newlines": b"\n\n\n",
    "half a json object": b'{"id": "msg_1", "con\n',
    "not utf-8": b"\xff\xfe\xfd\n",
    "a record whose middle was not written": encode_record({"text": "x" * 90})[:50] + bytes(50) + b'"}\n',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_after_the_last_record_is_left_out(garbage: bytes) -> None:
    assert read(WHOLE + garbage) == (RECORDS, None)


def test_a_changed_byte_anywhere_in_the_middle_is_reported() -> None:
    last_line = WHOLE.rstrip(b"\n").rindex(b"\n") + 1
    for at_byte in range(last_line):
        records, damage = read(WHOLE[:at_byte] + bytes([WHOLE[at_byte] ^ 1]) + WHOLE[at_byte + 1 :])
        with at(byte=at_byte):
            assert damage is not None
            assert records == RECORDS[: len(records)]


def test_a_changed_byte_in_the_last_record_is_not_mistaken_for_a_torn_tail() -> None:
    records, damage = read(WHOLE[:-10] + b"?" + WHOLE[-9:])
    assert records == RECORDS[:3]
    assert str(damage) == "log is damaged: line 4 has a wrong checksum."


def test_a_file_with_other_content_is_damaged_not_empty() -> None:
    records, damage = read(b"this was a file of messages once\n")
    assert records == []
    assert "not a record" in str(damage)


def test_only_what_is_named_by_an_id_is_an_object() -> None:
    disk = SimulatedDisk()
    durable = Durable(disk)
    one, two = "run_" + "1" * 24, "run_" + "2" * 24
    durable.make_dir(f"/d/{one}")
    durable.make_dir(f"/d/{two}")
    for path in (f"/d/{one}/head", f"/d/{one}.json", "/d/notes.json", f"/d/{one}.json.bak"):
        durable.write_bytes(path, b"{}")
    assert heads(durable, "/d", "head", "run") == [(one, b"{}")]
    assert json_files(durable, "/d", "run") == [(one, b"{}")]
    assert heads(durable, "/missing", "head", "run") == json_files(durable, "/missing", "run") == []
