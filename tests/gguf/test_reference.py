"""Files exchanged with the `gguf` package, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oxillama.core import _core
from oxillama.gguf import GGUFFile, GGUFWriter

if TYPE_CHECKING:
    from pathlib import Path

reference = pytest.importorskip("gguf", reason="needs the gguf package")

SCALARS: dict[str, Any] = {
    "u8": 200,
    "i8": -100,
    "u16": 60000,
    "i16": -30000,
    "u32": 4_000_000_000,
    "i32": -2_000_000_000,
    "u64": 2**63,
    "i64": -(2**62),
    "f32": 0.25,
    "f64": 0.1,
    "bool": True,
    "str": "naïve ☃",
}
REFERENCE_TYPES = dict(
    zip(
        SCALARS,
        (
            "UINT8",
            "INT8",
            "UINT16",
            "INT16",
            "UINT32",
            "INT32",
            "UINT64",
            "INT64",
            "FLOAT32",
            "FLOAT64",
            "BOOL",
            "STRING",
        ),
        strict=True,
    )
)


def test_files_of_the_reference_are_read(tmp_path: Path) -> None:
    path = tmp_path / "theirs.gguf"
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    writer = reference.GGUFWriter(path, "llama")
    for key, value in SCALARS.items():
        writer.add_key_value(f"test.{key}", value, reference.GGUFValueType[REFERENCE_TYPES[key]])
    writer.add_array("test.strings", ["a", "bc", ""])
    writer.add_array("test.ints", [1, -2, 3])
    writer.add_array("test.floats", [0.5, 1.5])
    writer.add_tensor("matrix", matrix)
    writer.add_tensor("half", matrix.astype(np.float16))
    quantised = reference.quants.quantize(
        np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32), reference.GGMLQuantizationType.Q8_0
    )
    writer.add_tensor("q", quantised, raw_dtype=reference.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    file = GGUFFile(path)

    assert {key: file.metadata[f"test.{key}"] for key in SCALARS} == SCALARS
    assert {key: file.metadata_types[f"test.{key}"] for key in SCALARS} == {key: key for key in SCALARS}
    assert file.metadata["test.strings"] == ["a", "bc", ""]
    assert list(file.require_array("test.ints")) == [1, -2, 3]
    assert list(file.require_array("test.floats", kind="float")) == [0.5, 1.5]
    assert file.tensors["matrix"].shape == (4, 3)
    assert file.raw("matrix").view("<f4").tolist() == list(range(12))
    assert file.raw("half").view("<f2").tolist() == list(range(12))
    assert (file.tensors["q"].type_name, file.tensors["q"].shape) == ("Q8_0", (32, 2))
    assert file.raw("q").tobytes() == quantised.tobytes()


@pytest.mark.parametrize("alignment", [32, 64])
def test_the_reference_reads_our_files(alignment: int, tmp_path: Path) -> None:
    path = tmp_path / "ours.gguf"
    with GGUFWriter(path, alignment=alignment) as writer:
        writer.add("general.architecture", "llama")
        for key, value in SCALARS.items():
            writer.add(f"test.{key}", value, key)
        writer.add("test.strings", ["a", "bc", ""])
        writer.add("test.ints", [1, -2, 3])
        writer.add("test.nested", [["x", "y"], ["z"]], "arr[arr[str]]")
        writer.add_tensor("odd", np.ones(3, np.float32))
        writer.add_tensor("matrix", np.arange(12, dtype=np.float32).reshape(3, 4))
        writer.add_tensor_info("q", "Q8_0", (32, 2))
        writer.write_tensor("q", bytes(range(68)))

    reader = reference.GGUFReader(path)

    fields = {key: reader.get_field(f"test.{key}") for key in SCALARS}
    assert {key: field.contents() for key, field in fields.items()} == SCALARS
    assert {key: field.types[0].name for key, field in fields.items()} == REFERENCE_TYPES
    assert reader.get_field("test.strings").contents() == ["a", "bc", ""]
    assert reader.get_field("test.ints").contents() == [1, -2, 3]
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert list(tensors["matrix"].shape) == [4, 3]
    assert tensors["matrix"].data.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert tensors["q"].tensor_type.name == "Q8_0"
    assert tensors["q"].data.tobytes() == bytes(range(68))
    assert reader.alignment == alignment


def test_type_sizes_are_the_references() -> None:
    ours = _core.tensor_types()
    for type_, (block, size) in reference.GGML_QUANT_SIZES.items():
        if type_.name == "Q8_1":  # the package counts two floats; in files' blocks they are halves
            size -= 4
        assert ours[int(type_)] == (type_.name, block, size)
