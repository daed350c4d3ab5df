"""Damaged and hostile files, one of each kind: one line names the file, the key or tensor, and the problem."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from oxillama.core._core import GGUF
from oxillama.errors import ModelError, ModelFormatError, ModelUnsupportedError
from oxillama.gguf import GGUFWriter
from tests.support import gguf_bytes as gb

U64_MAX = 2**64 - 1
DATA = bytes(64)


@dataclass(frozen=True)
class Case:
    """A file's content and the error of opening it. error: matched at the end of the line, after the path."""

    content: bytes
    error: str
    kind: type[ModelError] = ModelFormatError


def a_key(content: bytes) -> bytes:
    return gb.file([content], [])


def one_tensor(content: bytes, data: bytes = DATA, *metadata: bytes) -> bytes:
    return gb.file(list(metadata), [content], data)


def nested(depth: int) -> bytes:
    """An array of depth levels, one element each, the last empty."""
    return struct.pack("<IQ", gb.ARRAY, 1) * (depth - 1) + struct.pack("<IQ", 0, 0)


def aligned(value: bytes) -> bytes:
    return one_tensor(gb.tensor("w", (4,)), DATA, value)


PADDED = bytes(200)
CASES = {
    # The beginning
    "empty": Case(b"", "the file is empty"),
    "magic only": Case(b"GGUF", r"the file ends inside the version \(at byte 4 of 4\)"),
    "two letters": Case(b"GG", r"the file ends inside the four letters that begin it \(at byte 0 of 2\)"),
    "another format": Case(b"PK\x03\x04" + PADDED, r"is not a GGUF file \(it begins with 'PK\?\?'\)"),
    "old format": Case(b"tjgg" + PADDED, r"is not a GGUF file \(it begins with 'tjgg'\)"),
    "version 0": Case(gb.header(0, 0, version=0), "has GGUF version 0, which never was"),
    "version 1": Case(
        gb.header(0, 0, version=1), "has GGUF version 1; versions 2 and 3 are read", ModelUnsupportedError
    ),
    "version 4": Case(
        gb.header(0, 0, version=4), "has GGUF version 4; versions 2 and 3 are read", ModelUnsupportedError
    ),
    "big-endian": Case(
        b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
        "is a big-endian GGUF file; only little-endian ones are read",
        ModelUnsupportedError,
    ),
    "big-endian letters": Case(
        b"FUGG" + struct.pack(">IQQ", 3, 0, 0), "is a big-endian GGUF .*", ModelUnsupportedError
    ),
    "counts cut off": Case(gb.header(0, 0)[:20], r"the file ends inside the number of keys \(at byte 16 of 20\)"),
    "keys without end": Case(
        gb.header(0, U64_MAX) + PADDED, f"claims {U64_MAX} keys, more than its 224 bytes can hold.*"
    ),
    "keys, signed": Case(gb.header(0, 2**63) + PADDED, f"claims {2**63} keys, .*"),
    "tensors without end": Case(gb.header(U64_MAX, 0) + PADDED, f"claims {U64_MAX} tensors, .*"),
    "tensors times their size wraps": Case(gb.header(2**64 // 25 + 1, 0) + PADDED, r"claims \d+ tensors, .*"),
    "one key too many": Case(gb.header(0, 2) + gb.scalar("a", "u64", 1) + bytes(8), "key 2 of 2: its name is empty"),
    # Keys
    "key length wraps": Case(
        a_key(struct.pack("<Q", U64_MAX) + PADDED), rf"key 1 of 1: its name claims {U64_MAX} bytes, and \d+ are left"
    ),
    "key past the end": Case(a_key(struct.pack("<Q", 4096) + PADDED), "key 1 of 1: its name claims 4096 bytes, .*"),
    "empty key": Case(a_key(gb.scalar("", "u64", 0)), "key 1 of 1: its name is empty"),
    "long key": Case(a_key(gb.scalar("k" * 65536, "u8", 0)), r"key 'k{76}\.\.\.': its name has 65536 bytes, 65535 .*"),
    "zero in a key": Case(a_key(gb.scalar("a\0b", "u8", 0)), r"key 'a\?b': its name holds a zero byte"),
    "key twice": Case(gb.file([gb.scalar("k", "u8", 1)] * 2, []), "key 'k': occurs twice"),
    "unknown value type": Case(a_key(gb.meta("k", 13, PADDED)), "key 'k': unknown value type 13"),
    "negative value type": Case(a_key(gb.meta("k", 2**32 - 1, PADDED)), "key 'k': unknown value type 4294967295"),
    "control characters": Case(
        a_key(gb.meta("a\nb\x1b[2Jc\x85\u2028", 99, PADDED)), r"key 'a\?b\?\[2Jc\?+': unknown .*"
    ),
    # Values
    "string length wraps": Case(
        a_key(gb.meta("k", gb.STRING, struct.pack("<Q", U64_MAX) + PADDED)),
        f"key 'k': its string claims {U64_MAX} bytes.*",
    ),
    "bool of 2": Case(a_key(gb.scalar("k", "bool", 2)), r"key 'k': 2 is not a boolean \(0 or 1\)"),
    "array of bools of 255": Case(a_key(gb.array("k", 7, 2, b"\x01\xff")), r"key 'k': 255 is not a boolean \(0 or 1\)"),
    "array of unknown": Case(a_key(gb.array("k", 13, 0, PADDED)), "key 'k': array of unknown type 13"),
    "array count wraps": Case(
        a_key(gb.array("k", 10, 2**61 + 1, PADDED)), f"key 'k': array claims {2**61 + 1} elements.*"
    ),
    "array too long": Case(
        a_key(gb.array("k", 0, 4096, b"")), r"key 'k': array claims 4096 elements, more than the \d+ .*"
    ),
    "strings too many": Case(
        a_key(gb.array("k", gb.STRING, 2**60, PADDED)), f"key 'k': array claims {2**60} elements.*"
    ),
    "string in an array": Case(
        a_key(gb.array("k", gb.STRING, 2, gb.text("ok") + struct.pack("<Q", 2**63) + PADDED)),
        f"key 'k': a string in the array claims {2**63} bytes, .*",
    ),
    "arrays too deep": Case(a_key(gb.meta("k", gb.ARRAY, nested(9))), "key 'k': arrays are nested more than 8 deep"),
    "arrays far too deep": Case(
        a_key(gb.meta("k", gb.ARRAY, nested(100_000))), "key 'k': arrays are nested more than 8 deep"
    ),
    "array in an array": Case(
        a_key(gb.array("k", gb.ARRAY, 1, struct.pack("<IQ", 4, U64_MAX))),
        f"key 'k': array claims {U64_MAX} elements, .*",
    ),
    # Alignment
    "alignment 0": Case(
        aligned(gb.scalar("general.alignment", "u32", 0)), "key 'general.alignment': 0 is not a power of .*"
    ),
    "alignment 12": Case(
        aligned(gb.scalar("general.alignment", "u32", 12)), "key 'general.alignment': 12 is not a power.*"
    ),
    "alignment 2^31": Case(
        aligned(gb.scalar("general.alignment", "u32", 2**31)),
        "key 'general.alignment': 2147483648 is not a power of two from 8 to 1048576",
    ),
    "alignment i32": Case(aligned(gb.scalar("general.alignment", "i32", 32)), "key 'general.alignment': must be a u32"),
    "alignment str": Case(aligned(gb.string("general.alignment", "32")), "key 'general.alignment': must be a u32"),
    "alignment arr": Case(
        aligned(gb.array("general.alignment", 4, 1, struct.pack("<I", 32))), "key 'general.alignment': must be a u32"
    ),
    # Tensors
    "tensor name wraps": Case(
        one_tensor(struct.pack("<Q", U64_MAX) + PADDED), f"tensor 1 of 1: its name claims {U64_MAX} bytes, .*"
    ),
    "empty tensor name": Case(one_tensor(gb.tensor("", (4,)) + PADDED), "tensor 1 of 1: its name is empty"),
    "long tensor name": Case(
        one_tensor(gb.tensor("n" * 65, (4,))), "tensor 'n{65}': its name has 65 bytes, 64 are allowed"
    ),
    "zero in a tensor name": Case(one_tensor(gb.tensor("a\0b", (4,))), r"tensor 'a\?b': its name holds a zero byte"),
    "tensor twice": Case(
        gb.file([], [gb.tensor("w", (4,)), gb.tensor("w", (4,), offset=32)], DATA), "tensor 'w': occurs twice"
    ),
    "five dimensions": Case(
        one_tensor(gb.tensor("w", (1,) * 5)), "tensor 'w': has 5 dimensions, at most 4 are allowed"
    ),
    "2^32 - 1 dimensions": Case(
        one_tensor(gb.text("w") + struct.pack("<I", 2**32 - 1) + PADDED), "tensor 'w': has 4294967295 dimensions, .*"
    ),
    "dimension 0": Case(one_tensor(gb.tensor("w", (4, 0))), "tensor 'w': dimension 1 is 0"),
    "dimension -1": Case(
        one_tensor(gb.tensor("w", (U64_MAX,))), r"tensor 'w': its dimensions multiply to more than .*"
    ),
    "elements wrap": Case(
        one_tensor(gb.tensor("w", (2**32, 2**32))), r"tensor 'w': its dimensions multiply to more .*"
    ),
    "elements wrap to a little": Case(
        one_tensor(gb.tensor("w", (2**33, 2**31 + 1))), "tensor 'w': its dimensions multiply.*"
    ),
    "bytes wrap": Case(one_tensor(gb.tensor("w", (2**62,))), "tensor 'w': its size in bytes does not fit 64 bits"),
    "ragged row": Case(
        one_tensor(gb.tensor("w", (33,), gb.Q4_0)),
        "tensor 'w': rows of 33 elements are no multiple of Q4_0's block of 32",
    ),
    "ragged row, whole product": Case(
        one_tensor(gb.tensor("w", (16, 2), gb.Q8_0)),
        "tensor 'w': rows of 16 elements are no multiple of Q8_0's block of 32",
    ),
    "quantised scalar": Case(
        one_tensor(gb.tensor("w", (), gb.Q4_K)), "tensor 'w': rows of 1 elements are no multiple .*"
    ),
    "unknown tensor type": Case(
        one_tensor(gb.tensor("w", (4,), 999)), "tensor 'w': has type number 999, which .*", ModelUnsupportedError
    ),
    "negative tensor type": Case(
        one_tensor(gb.tensor("w", (4,), 2**32 - 1)), "tensor 'w': has type number 4294967295, .*", ModelUnsupportedError
    ),
    "withdrawn tensor type": Case(
        one_tensor(gb.tensor("w", (32,), 31)),
        "tensor 'w': has type Q4_0_4_4, which the format has withdrawn",
        ModelUnsupportedError,
    ),
    # Extents
    "no data": Case(
        one_tensor(gb.tensor("w", (4,)), b""), r"tensor 'w': its 16 bytes at offset 0 lie past the file's end.*"
    ),
    "a byte short": Case(
        one_tensor(gb.tensor("w", (4,)), bytes(15)), r"tensor 'w': its 16 bytes .* \(15 bytes of data\).*"
    ),
    "second past the end": Case(
        gb.file([], [gb.tensor("a", (4,)), gb.tensor("b", (9,), offset=32)], DATA),
        r"tensor 'b': its 36 bytes at offset 32 lie past the file's end \(64 bytes of data\).*",
    ),
    "offset past the end": Case(
        one_tensor(gb.tensor("w", (4,), offset=64)), "tensor 'w': its offset is 64, but the data before it ends at 0"
    ),
    "offset wraps": Case(
        one_tensor(gb.tensor("w", (4,), offset=2**64 - 32)), r"tensor 'w': its offset is \d+, but the .*"
    ),
    "unaligned offset": Case(
        one_tensor(gb.tensor("w", (4,), offset=8)), "tensor 'w': its offset is 8, but .* ends at 0"
    ),
    "gap": Case(
        gb.file([], [gb.tensor("a", (4,)), gb.tensor("b", (4,), offset=64)], bytes(96)),
        "tensor 'b': its offset is 64, but the data before it ends at 32",
    ),
    "overlap": Case(
        gb.file([], [gb.tensor("a", (12,)), gb.tensor("b", (4,), offset=32)], DATA),
        "tensor 'b': its offset is 32, but the data before it ends at 64",
    ),
    "exchanged offsets": Case(
        gb.file([], [gb.tensor("a", (4,), offset=32), gb.tensor("b", (4,))], DATA),
        "tensor 'a': its offset is 32, but the data before it ends at 0",
    ),
    "same data": Case(
        gb.file([], [gb.tensor("a", (4,)), gb.tensor("b", (4,))], DATA), "tensor 'b': its offset is 0, but .*"
    ),
    "huge": Case(one_tensor(gb.tensor("w", (2**40,))), r"tensor 'w': its 4398046511104 bytes at offset 0 lie past .*"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_file_is_reported_in_one_clear_line(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = tmp_path / "bad.gguf"
    path.write_bytes(case.content)

    with pytest.raises(ModelError) as caught:
        GGUF(path)

    line = str(caught.value)
    assert type(caught.value) is case.kind
    assert re.fullmatch(re.escape(f"{path}: ") + case.error, line), line
    assert len(line.splitlines()) == 1


def test_eight_levels_of_arrays_are_read(tmp_path: Path) -> None:
    path = tmp_path / "deep.gguf"
    path.write_bytes(a_key(gb.meta("k", gb.ARRAY, nested(8))))
    value = GGUF(path).metadata()["k"]
    for _ in range(7):
        assert isinstance(value, list)
        assert len(value) == 1
        value = value[0]
    assert len(np.asarray(value)) == 0


def test_the_last_tensor_needs_no_padding(tmp_path: Path) -> None:
    path = tmp_path / "unpadded.gguf"
    path.write_bytes(gb.file([], [gb.tensor("a", (4,)), gb.tensor("b", (4,), offset=32)], b"A" * 32 + b"B" * 16))
    file = GGUF(path)
    assert file.raw("a").tobytes() == b"A" * 16
    assert file.raw("b").tobytes() == b"B" * 16


def test_a_missing_file_is_the_usual_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.gguf: No such file"):
        GGUF(tmp_path / "absent.gguf")


def test_a_directory_is_the_usual_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a directory, not a model file"):
        GGUF(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFormatError, match=r"pipe\.gguf: is a device, pipe or socket, not a model file"):
        GGUF(tmp_path / "pipe.gguf")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(ModelFormatError, match=f"{device}: is a device, pipe or socket, not a model file"):
        GGUF(device)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_the_usual_error(tmp_path: Path) -> None:
    path = tmp_path / "secret.gguf"
    path.write_bytes(b"GGUF")
    path.chmod(0)
    with pytest.raises(PermissionError, match=r"secret\.gguf: "):
        GGUF(path)


def test_a_zero_byte_in_the_path_is_refused() -> None:
    with pytest.raises(ValueError, match="null byte"):
        GGUF("a\0.gguf")


def test_a_very_long_path_leaves_room_for_the_message(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(4):
        folder /= "ü" * 100
    folder.mkdir(parents=True)
    (folder / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFormatError) as caught:
        GGUF(folder / "x.gguf")
    assert str(caught.value).endswith("ü/x.gguf: the file ends inside the version (at byte 4 of 4)")


def test_a_sparse_file_of_a_terabyte_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sparse.gguf"
    head = gb.header(0, 1) + gb.text("k") + struct.pack("<IIQ", gb.ARRAY, gb.STRING, 2**36)
    path.write_bytes(head)
    os.truncate(path, 2**40)
    with pytest.raises(ModelFormatError, match=r"key 'k': array claims 68719476736 elements"):
        GGUF(path)


def test_metadata_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.gguf"
    path.write_bytes(gb.header(0, 1) + gb.text("k") + struct.pack("<IQ", gb.STRING, 2**30))
    os.truncate(path, 2**31)
    with pytest.raises(ModelFormatError, match=r"key 'k': its string claims 1073741824 bytes"):
        GGUF(path)


def test_a_hundred_thousand_tensors_open_quickly(tmp_path: Path) -> None:
    """Quadratic time would take minutes here and would hit the suite's timeout."""
    n = 100_000
    path = tmp_path / "many.gguf"
    tensors = [gb.tensor(f"blk.{i * 7919 % n}.weight", (1,), offset=32 * i) for i in range(n)]
    metadata = [gb.scalar(f"key.{i % 317}.{i}", "u8", i % 256) for i in range(n)]
    path.write_bytes(gb.file(metadata, tensors, bytes(32 * n)))
    file = GGUF(path)
    assert len(file.metadata()) == n
    assert list(file.tensors())[1] == "blk.7919.weight"
    assert file.raw("blk.70000.weight").tobytes() == bytes(4)


def test_a_file_cut_short_while_open_is_noticed_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    with GGUFWriter(path) as writer:
        writer.add_tensor_info("w", "F32", (4096,))
        writer.write_tensor("w", bytes(16384))
    file = GGUF(path)
    os.truncate(path, 4096)
    with pytest.raises(ModelFormatError, match=r"cut\.gguf: the file was cut from \d+ to 4096 bytes while it was open"):
        file.raw("w")
    with pytest.raises(ModelFormatError, match="while it was open"):
        file.metadata()


def test_a_file_replaced_while_open_keeps_its_old_content(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gb.small_model())
    file = GGUF(path)
    (tmp_path / "new").write_bytes(b"short")
    os.replace(tmp_path / "new", path)
    assert file.raw("b.weight").tolist() == list(range(68))
