"""GGUFFile reads what GGUFWriter writes. The writer refuses invalid files, and partial files are never visible."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oxillama.core import _core
from oxillama.errors import InvalidParameterError
from oxillama.gguf import GGUFFile, GGUFWriter

if TYPE_CHECKING:
    from pathlib import Path

VALUES: dict[str, tuple[Any, str | None, str]] = {
    "u8": (255, "u8", "u8"),
    "i8": (-128, "i8", "i8"),
    "u16": (65535, "u16", "u16"),
    "i16": (-32768, "i16", "i16"),
    "u32": (7, None, "u32"),
    "i32": (-7, None, "i32"),
    "u64": (2**40, None, "u64"),
    "i64": (-(2**40), None, "i64"),
    "f32": (0.5, None, "f32"),
    "f64": (0.1, "f64", "f64"),
    "bool": (True, None, "bool"),
    "str": ("héllo\n", None, "str"),
    "empty": ("", None, "str"),
    "numpy scalar": (np.float64(0.1), None, "f64"),
    "strs": (["a", "", "ü"], None, "arr[str]"),
    "no strs": ([], "arr[str]", "arr[str]"),
    "ints": ([1, -2, 3], None, "arr[i32]"),
    "large ints": ([2**40], None, "arr[i64]"),
    "floats": ([0.5, 1], None, "arr[f32]"),
    "bools": ([True, False], None, "arr[bool]"),
    "array": (np.arange(5, dtype=np.uint16), None, "arr[u16]"),
    "widened array": (np.arange(5, dtype=np.uint8), "arr[i32]", "arr[i32]"),
}


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | list):
        return [plain(item) for item in value]
    return value


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_read_back_with_its_type(name: str, tmp_path: Path) -> None:
    value, kind, stored = VALUES[name]
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add("key", value, kind)

    file = GGUFFile(tmp_path / "x.gguf")

    assert plain(file.metadata["key"]) == plain(value)
    assert file.metadata_types == {"key": stored}


def test_nested_arrays_are_read_back(tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add("numbers", [[1, 2], [], [3]], "arr[arr[u8]]")
        writer.add("texts", [[["a"], []], [["b", "c"]]], "arr[arr[arr[str]]]")

    metadata = GGUFFile(tmp_path / "x.gguf").metadata

    assert plain(metadata["numbers"]) == [[1, 2], [], [3]]
    assert plain(metadata["texts"]) == [[["a"], []], [["b", "c"]]]


def test_bytes_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add("bytes", b"\xff\x00")
        writer.add("surrogates", b"\xfe".decode("utf-8", "surrogateescape"))
    metadata = GGUFFile(tmp_path / "x.gguf").metadata
    assert metadata == {"bytes": "\udcff\0", "surrogates": "\udcfe"}


BAD_VALUES: dict[str, tuple[Any, str | None, str]] = {
    "unknown type": (1, "u128", "'u128' is not a GGUF type"),
    "unknown element": ([1], "arr[u128]", "'u128' is not a GGUF type"),
    "array without element": ([1], "arr", "'arr' is not a GGUF type"),
    "too large": (256, "u8", "not a valid u8"),
    "negative": (-1, "u32", "not a valid u32"),
    "element too large": ([1, 300], "arr[u8]", r"not a valid arr\[u8\]"),
    "fraction": (1.5, "u32", "not a valid u32"),
    "text for a number": ("1", "u32", "not a valid u32"),
    "number for a text": (1, "str", "not a valid str"),
    "number for a bool": (1, "bool", "not a valid bool"),
    "text for an array": ("ab", "arr[str]", r"not a valid arr\[str\]"),
    "number for an array": (1, "arr[u8]", r"not a valid arr\[u8\]"),
    "mixed list": (["a", 1], None, "must be of one type"),
    "empty list": ([], None, "give the type of this list explicitly"),
    "None": (None, None, "give the type of this NoneType explicitly"),
    "over 64 bits": (2**64, None, "does not fit 64 bits"),
    "complex array": (np.zeros(2, np.complex64), None, "no type for numpy's complex64"),
}


@pytest.mark.parametrize("case", BAD_VALUES)
def test_a_value_that_does_not_fit_is_refused_by_key(case: str, tmp_path: Path) -> None:
    value, kind, message = BAD_VALUES[case]
    writer = GGUFWriter(tmp_path / "x.gguf")
    with pytest.raises(InvalidParameterError, match=f"key 'the.key': .*{message}"):
        writer.add("the.key", value, kind)


def test_tensors_of_numpy_arrays_have_their_dimensions_reversed(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add_tensor("f32", values)
        writer.add_tensor("f16", values, "F16")
        writer.add_tensor("i32", values.astype(np.int16), "I32")
        writer.add_tensor("transposed", values.T)

    file = GGUFFile(tmp_path / "x.gguf")

    assert file.tensors["f32"].shape == (3, 2)
    assert file.raw("f32").view("<f4").tolist() == list(range(6))
    assert file.raw("f16").view("<f2").tolist() == list(range(6))
    assert file.raw("i32").view("<i4").tolist() == list(range(6))
    assert file.tensors["transposed"].shape == (2, 3)
    assert file.raw("transposed").view("<f4").tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("type_name", ["BF16", "Q4_0", "Q8_0", "Q4_K", "Q6_K"])
def test_float_values_become_the_tensors_type(type_name: str, tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 1024, dtype=np.float64).reshape(2, 512)
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add_tensor("w", values, type_name)

    file = GGUFFile(tmp_path / "x.gguf")

    decoded = _core.dequantize(file.tensors["w"].type, file.raw("w"), values.size)
    assert np.abs(decoded.reshape(2, 512) - values).max() < 0.15
    assert file.tensors["w"].type_name == type_name


@pytest.mark.parametrize("name", [name for name, _, _ in _core.tensor_types().values()])
def test_raw_bytes_of_every_type_pass_unchanged(name: str, tmp_path: Path) -> None:
    block, size = {n: (b, s) for n, b, s in _core.tensor_types().values()}[name]
    data = bytes(i % 251 for i in range(3 * size))
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add_tensor_info("w", name, (block, 3))
        writer.write_tensor("w", data)

    file = GGUFFile(tmp_path / "x.gguf")

    assert file.tensors["w"].type_name == name
    assert file.raw("w").tobytes() == data


def test_tensors_may_be_written_in_any_order_and_in_pieces(tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        for name in "abc":
            writer.add_tensor_info(name, "F32", (5,))
        writer.write_tensor("c", (bytes([i]) * 4 for i in range(5)))
        writer.write_tensor("a", np.ones(5, np.float32))
        writer.write_tensor("b", bytes(20))

    file = GGUFFile(tmp_path / "x.gguf")

    assert file.raw("a").view("<f4").tolist() == [1] * 5
    assert file.raw("b").tobytes() == bytes(20)
    assert file.raw("c").tolist() == [i for i in range(5) for _ in range(4)]


@pytest.mark.parametrize("alignment", [8, 64, 4096])
def test_tensors_start_at_multiples_of_the_alignment(alignment: int, tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "x.gguf", alignment=alignment) as writer:
        for name in "abc":
            writer.add_tensor(name, np.full(3, ord(name), np.int8), "I8")

    file = GGUFFile(tmp_path / "x.gguf")

    content = (tmp_path / "x.gguf").read_bytes()
    assert file.get_int("general.alignment") == alignment
    for name in "abc":
        assert content.index(name.encode() * 3) % alignment == 0
        assert file.raw(name).tobytes() == name.encode() * 3


def misuse(writer: GGUFWriter, case: str) -> None:
    match case:
        case "key twice":
            writer.add("k", 2)
        case "tensor twice":
            writer.add_tensor_info("t", "F32", (2,))
        case "alignment as a key":
            writer.add("general.alignment", 64, "u32")
        case "empty key":
            writer.add("", 1)
        case "zero in a name":
            writer.add_tensor_info("a\0b", "F32", (1,))
        case "long name":
            writer.add_tensor_info("n" * 65, "F32", (1,))
        case "unknown tensor type":
            writer.add_tensor_info("x", "Q3_X", (1,))
        case "ragged row":
            writer.add_tensor_info("x", "Q4_0", (33,))
        case "five dimensions":
            writer.add_tensor_info("x", "F32", (1, 1, 1, 1, 1))
        case "dimension 0":
            writer.add_tensor_info("x", "F32", (0,))
        case "undeclared":
            writer.write_tensor("x", b"")
        case "too few bytes":
            writer.write_tensor("t", bytes(7))
        case "too many bytes":
            writer.write_tensor("t", [bytes(8), b"x"])
        case "wrong array":
            writer.write_tensor("t", np.zeros(3, np.float32))
        case "complex array":
            writer.write_tensor("t", np.zeros(2, np.complex64))
        case "written twice":
            writer.write_tensor("t", bytes(8))
            writer.write_tensor("t", bytes(8))
        case "key after data":
            writer.write_tensor("t", bytes(8))
            writer.add("late", 1)
        case "not written":
            writer.close()


MISUSE = {
    "key twice": "key 'k': was added already",
    "tensor twice": "tensor 't': was declared already",
    "alignment as a key": "give it to the constructor",
    "empty key": "must have 1 to 65535 bytes",
    "zero in a name": "must have 1 to 64 bytes, none of them zero",
    "long name": "must have 1 to 64 bytes",
    "unknown tensor type": "tensor 'x': unknown type 'Q3_X'",
    "ragged row": "tensor 'x': rows of 33 elements are no multiple of Q4_0's block of 32",
    "five dimensions": "not a shape of 1 to 4 dimensions",
    "dimension 0": "not a shape of 1 to 4 dimensions above 0",
    "undeclared": "tensor 'x': was not declared",
    "too few bytes": "tensor 't': 7 of its 8 bytes were given",
    "too many bytes": "tensor 't': more than its 8 bytes were given",
    "wrong array": r"tensor 't': values of shape \[3\] do not fill \[2\]",
    "complex array": "tensor 't': complex64 values cannot become F32",
    "written twice": "tensor 't': was written already",
    "key after data": "key 'late': comes too late",
    "not written": r"tensor 't': was declared but not written",
}


@pytest.mark.parametrize("case", MISUSE)
def test_misuse_is_refused_and_leaves_no_file(case: str, tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x.gguf")
    writer.add("k", 1)
    writer.add_tensor_info("t", "F32", (2,))
    with pytest.raises(InvalidParameterError, match=MISUSE[case]), writer:
        misuse(writer, case)
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"old")
    with GGUFWriter(path) as writer:
        writer.add_tensor_info("t", "F32", (2,))
        writer.write_tensor("t", bytes(8))
        assert path.read_bytes() == b"old"
    assert GGUFFile(path).tensors.keys() == {"t"}
    assert [p.name for p in tmp_path.iterdir()] == ["x.gguf"]


def test_an_error_in_the_block_leaves_nothing_behind(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x.gguf", shard_bytes=8)
    writer.add_tensor("a", np.zeros(2, np.float32))
    writer.add_tensor("b", np.zeros(2, np.float32))
    writer.write_tensor("a", bytes(8))
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(KeyboardInterrupt), writer:
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_killed_writer_are_removed_and_those_of_a_running_one_stay(tmp_path: Path) -> None:
    orphan, other = tmp_path / ".x.gguf.1-0123abcd.tmp", tmp_path / ".xx.gguf.1-0123abcd.tmp"
    with GGUFWriter(tmp_path / "x.gguf") as living, GGUFWriter(tmp_path / "x.gguf") as writer:
        for each in (living, writer):
            each.add_tensor_info("a", "F32", (2,))
        living.write_tensor("a", bytes(8))
        held = {p.name for p in tmp_path.iterdir()}
        orphan.touch()
        other.touch()
        for file in tmp_path.iterdir():
            os.utime(file, (1, 1))

        writer.write_tensor("a", bytes(8))

        assert held | {other.name} < {p.name for p in tmp_path.iterdir()}
        assert not orphan.exists()


@pytest.mark.parametrize("alignment", [0, 4, 33, 2**21])
def test_an_alignment_readers_refuse_is_refused(alignment: int, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match=f"alignment: {alignment} "):
        GGUFWriter(tmp_path / "x.gguf", alignment=alignment)
