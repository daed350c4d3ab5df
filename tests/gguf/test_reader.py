"""The content of a well-formed file is read unchanged, and getters refuse values of another type."""

from __future__ import annotations

import math
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oxillama.errors import ModelFormatError
from oxillama.gguf import GGUFFile, GGUFWriter
from tests.support import gguf_bytes as gb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def small(tmp_path: Path) -> GGUFFile:
    path = tmp_path / "small.gguf"
    path.write_bytes(gb.small_model())
    return GGUFFile(path)


def opened(path: Path, *metadata: bytes) -> GGUFFile:
    path.write_bytes(gb.file(list(metadata), []))
    return GGUFFile(path)


@pytest.mark.parametrize("version", [2, 3])
def test_both_versions_are_read(version: int, tmp_path: Path) -> None:
    path = tmp_path / "v.gguf"
    path.write_bytes(gb.file([gb.scalar("a", "u8", 7)], [], version=version))
    assert GGUFFile(path).metadata == {"a": 7}


def test_every_value_type_is_read(small: GGUFFile) -> None:
    metadata = small.metadata

    assert {k: v for k, v in metadata.items() if not isinstance(v, list | np.ndarray)} == {
        "general.architecture": "llama",
        **{f"test.{kind}": 1 for kind in gb.NUMBERS},
    }
    assert metadata["test.bool"] is True
    assert isinstance(metadata["test.f64"], float)
    assert isinstance(metadata["test.u64"], int)
    assert metadata["test.strings"] == ["a", "", "é"]
    assert metadata["test.empty"] == []
    assert_array(metadata["test.numbers"], np.int32, [-1, 0, 1])
    assert_array(metadata["test.bools"], np.bool_, [False, True])
    nested = metadata["test.nested"]
    assert isinstance(nested, list)
    first, second = nested
    assert_array(first, np.uint16, [7, 8])
    assert second == ["deep"]


def assert_array(found: object, dtype: type, values: list[Any]) -> None:
    assert isinstance(found, np.ndarray)
    assert found.dtype == dtype
    assert found.tolist() == values


def test_types_have_gguf_names(small: GGUFFile) -> None:
    types = small.metadata_types
    assert types["general.architecture"] == "str"
    assert all(types[f"test.{kind}"] == kind for kind in gb.NUMBERS)
    assert (types["test.strings"], types["test.numbers"], types["test.nested"]) == ("arr[str]", "arr[i32]", "arr[arr]")


def test_scalars_keep_their_extreme_values(tmp_path: Path) -> None:
    extremes = {"u8": 255, "i8": -128, "u16": 65535, "i16": -(2**15), "u32": 2**32 - 1, "i32": -(2**31)}
    extremes |= {"u64": 2**64 - 1, "i64": -(2**63)}
    file = opened(tmp_path / "x.gguf", *(gb.scalar(kind, kind, value) for kind, value in extremes.items()))
    assert file.metadata == extremes


def test_tensors_are_described_and_read(small: GGUFFile) -> None:
    a, b = small.tensors.values()
    assert (a.name, a.type, a.type_name, a.shape, a.n_elements, a.n_bytes) == ("a.weight", 0, "F32", (4, 2), 8, 32)
    assert (b.name, b.type_name, b.shape, b.n_bytes) == ("b.weight", "Q8_0", (32, 1, 2), 68)
    assert small.raw("a.weight").view("<f4").tolist() == list(range(8))
    assert small.raw("b.weight").tolist() == list(range(68))


def test_a_tensors_bytes_outlive_the_file_object_and_cannot_be_written(small: GGUFFile) -> None:
    raw = small.raw("b.weight")
    path = small.path
    del small
    assert raw.tolist() == list(range(68)), path
    with pytest.raises(ValueError, match="read-only"):
        raw[0] = 1


def test_a_tensor_without_dimensions_is_one_number(tmp_path: Path) -> None:
    path = tmp_path / "scalar.gguf"
    path.write_bytes(gb.file([], [gb.tensor("x", ())], b"\x00\x00\x80\x3f"))
    file = GGUFFile(path)
    assert file.tensors["x"].n_elements == 1
    assert file.raw("x").view("<f4").tolist() == [1.0]


def test_strings_that_are_not_utf8_survive(tmp_path: Path) -> None:
    file = opened(tmp_path / "x.gguf", gb.string("bad", b"a\xff\xfe"), gb.string(b"key\xff", b""))
    assert file.require_str("bad").encode("utf-8", "surrogateescape") == b"a\xff\xfe"
    assert "key\udcff" in file.metadata


def test_a_single_value_is_the_same_as_in_the_metadata(small: GGUFFile) -> None:
    for key, value in small.core.metadata().items():
        assert repr(small.core.value(key)) == repr(value)
    for absent in ("test", "test.u8x", "test.u8\0", ""):
        with pytest.raises(KeyError):
            small.core.value(absent)


def test_a_missing_tensor_is_named(small: GGUFFile) -> None:
    with pytest.raises(ModelFormatError, match=r"small\.gguf: tensor 'c' is missing$"):
        small.raw("c")
    with pytest.raises(KeyError):
        small.core.raw("a.weight\0")


def test_getters_return_values_and_defaults(small: GGUFFile) -> None:
    assert [small.get_int(f"test.{kind}") for kind in ("u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64")] == [1] * 8
    assert small.get_int("absent", 5) == 5
    assert small.get_int("absent") is None
    assert small.get_float("test.f32") == 1.0
    assert small.get_float("absent", 0.5) == 0.5
    assert small.get_bool("test.bool") is True
    assert small.get_bool("absent", False) is False
    assert small.get_str("general.architecture", "x") == "llama"
    assert small.get_str("absent", "x") == "x"
    assert small.get_strs("test.strings") == ["a", "", "é"]
    assert small.get_strs("absent") is None
    assert_array(small.get_array("test.numbers", length=3), np.int32, [-1, 0, 1])
    assert small.get_array("absent") is None


WRONG: dict[str, tuple[Callable[[GGUFFile], object], str]] = {
    "int of a float": (lambda f: f.get_int("test.f32"), "key 'test.f32': must be an integer, not f32"),
    "int of a bool": (lambda f: f.get_int("test.bool"), "key 'test.bool': must be an integer, not bool"),
    "int of a string": (lambda f: f.get_int("general.architecture"), "must be an integer, not str"),
    "int of an array": (lambda f: f.get_int("test.numbers"), r"must be an integer, not arr\[i32\]"),
    "int too small": (lambda f: f.get_int("test.u8", low=2), "key 'test.u8': 1 is not at least 2"),
    "int too large": (lambda f: f.get_int("test.u8", high=0), "1 is not at most 0"),
    "int out of range": (lambda f: f.get_int("test.u8", low=2, high=3), "1 is not between 2 and 3"),
    "float of an int": (lambda f: f.get_float("test.u32"), "must be a float, not u32"),
    "float out of range": (lambda f: f.get_float("test.f64", low=2.0), "1 is not at least 2"),
    "bool of an int": (lambda f: f.get_bool("test.u8"), "must be a bool, not u8"),
    "str of an int": (lambda f: f.get_str("test.u8"), "must be a string, not u8"),
    "strs of a str": (lambda f: f.get_strs("general.architecture"), "must be an array of strings, not str"),
    "strs of numbers": (lambda f: f.get_strs("test.numbers"), r"must be an array of strings, not arr\[i32\]"),
    "array of strings": (lambda f: f.get_array("test.strings"), r"must be an array of numbers, not arr\[str\]"),
    "floats of integers": (lambda f: f.get_array("test.numbers", kind="float"), r"an array of floats, not arr\[i32\]"),
    "bools of integers": (lambda f: f.get_array("test.numbers", kind="bool"), r"an array of bools, not arr\[i32\]"),
    "wrong length": (lambda f: f.get_array("test.numbers", length=4), "has 3 elements, not 4"),
    "missing int": (lambda f: f.require_int("no.int"), "key 'no.int' is missing"),
    "missing float": (lambda f: f.require_float("no.float"), "key 'no.float' is missing"),
    "missing bool": (lambda f: f.require_bool("no.bool"), "key 'no.bool' is missing"),
    "missing str": (lambda f: f.require_str("no.str"), "key 'no.str' is missing"),
    "missing strs": (lambda f: f.require_strs("no.strs"), "key 'no.strs' is missing"),
    "missing array": (lambda f: f.require_array("no.array"), "key 'no.array' is missing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_names_the_file_and_the_key(case: str, small: GGUFFile) -> None:
    call, message = WRONG[case]
    with pytest.raises(ModelFormatError, match=message) as caught:
        call(small)
    assert str(caught.value).startswith(small.path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_not_finite_is_refused(value: float, tmp_path: Path) -> None:
    file = opened(tmp_path / "x.gguf", gb.scalar("eps", "f32", value))
    with pytest.raises(ModelFormatError, match=r"key 'eps': .* is not a finite number"):
        file.get_float("eps")


def test_looking_up_a_few_keys_decodes_only_those(tmp_path: Path) -> None:
    """Nested arrays take many times their size when they are decoded."""
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add("nested", [[1] * 8] * 200_000, "arr[arr[i32]]")
        writer.add("wanted", "text")
    tracemalloc.start()
    try:
        file = GGUFFile(tmp_path / "x.gguf")
        assert file.metadata.get("wanted") == file.get_str("wanted") == "text"
        assert list(file.metadata) == ["nested", "wanted"]
        assert file.metadata.get("other") is None
        assert "nested" in file.metadata
        with pytest.raises(KeyError):
            file.metadata["other"]
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
