"""Files of importance matrices."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.errors import InvalidParameterError, ModelFormatError
from oxillama.gguf import GGUFWriter
from oxillama.quant.importance import read_importance, write_importance


def test_the_written_matrix_is_read_back_as_means(tmp_path: Path) -> None:
    sums = {"blk.0.attn_q.weight": np.array([[2.0, 4.0]]), "blk.0.up.weight": np.array([[1.0, 3.0], [0.0, 0.0]])}
    counts = {"blk.0.attn_q.weight": np.array([4]), "blk.0.up.weight": np.array([2, 0])}

    write_importance(tmp_path / "x.gguf", sums, counts, dataset="text.txt", n_chunks=3, chunk_size=512)
    found = read_importance(tmp_path / "x.gguf")

    assert found.datasets == ["text.txt"]
    assert found.n_chunks == 3
    np.testing.assert_array_equal(found.columns["blk.0.attn_q.weight"], [[0.5, 1.0]])
    np.testing.assert_array_equal(found.columns["blk.0.up.weight"], [[0.5, 1.5], [1, 1]])  # no tokens: all equal
    assert found.of("other.weight", (2, 2)) is None


def write(path: Path, kind: str = "imatrix", sums: float = 1.0, n_counts: int = 1, counts: bool = True) -> Path:
    with GGUFWriter(path) as writer:
        writer.add("general.type", kind)
        writer.add_tensor("w.in_sum2", np.full((1, 4), sums, np.float32))
        if counts:
            writer.add_tensor("w.counts", np.ones((n_counts, 1), np.float32))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "model"}, "is not an importance matrix"),
        ({"sums": -1.0}, "negative or not finite"),
        ({"sums": np.nan}, "negative or not finite"),
        ({"n_counts": 2}, "2 counts for 1 rows"),
        ({"counts": False}, "needs F32 tensors in_sum2 and counts"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "x.gguf", **changes)

    with pytest.raises(ModelFormatError, match=f"x.gguf: .*{message}"):
        read_importance(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ModelFormatError, match="pipe: is a pipe, not an importance matrix"):
        read_importance(tmp_path / "pipe")


def test_a_file_without_importance_is_named(tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add("general.type", "imatrix")
        writer.add_tensor("w", np.ones((1, 4), np.float32))

    with pytest.raises(ModelFormatError, match="holds no importance"):
        read_importance(tmp_path / "x.gguf")


def entry(name: bytes, calls: int, *values: float) -> bytes:
    head = struct.pack("<i", len(name)) + name + struct.pack("<ii", calls, len(values))
    return head + struct.pack(f"<{len(values)}f", *values)


TWO = struct.pack("<i", 2) + entry(b"blk.0.attn_q.weight", 4, 2.0, 4.0) + entry(b"blk.0.up.weight", 2, 1, 3, 5, 7)
TAIL = struct.pack("<ii", 3, 8) + b"text.txt"


@pytest.mark.parametrize(("tail", "said"), [(b"", ([], 0)), (TAIL[:4], ([], 3)), (TAIL, (["text.txt"], 3))])
def test_the_older_form_of_file_is_read_too(tmp_path: Path, tail: bytes, said: tuple[list[str], int]) -> None:
    path = tmp_path / "imatrix.dat"
    path.write_bytes(TWO + tail)

    found = read_importance(path)

    assert (found.datasets, found.n_chunks) == said
    np.testing.assert_array_equal(found.of("blk.0.attn_q.weight", (2, 8)), [[0.5, 1.0]])
    np.testing.assert_array_equal(found.of("blk.0.up.weight", (2, 8, 2)), [[0.5, 1.5], [2.5, 3.5]])
    with pytest.raises(InvalidParameterError, match="belongs to another model"):
        found.of("blk.0.attn_q.weight", (4, 8))


@pytest.mark.parametrize("cut", range(len(TWO)))
def test_an_older_file_cut_short_is_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "imatrix.dat"
    path.write_bytes(TWO[:cut])

    with pytest.raises(ModelFormatError, match=r"imatrix.dat: is not an importance matrix, neither GGUF nor .dat: "):
        read_importance(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a text, not a matrix", "the number of its entries is"),
        (struct.pack("<i", -1), "the number of its entries is -1"),
        (struct.pack("<ii", 1, 2**31 - 1), "the length of the name of entry 0 is 2147483647"),
        (struct.pack("<i", 2) + 2 * entry(b"w", 1, 1.0), "'w' for the second time"),
        (struct.pack("<i", 1) + entry(b"\xff", 1, 1.0), "is not UTF-8"),
        (struct.pack("<i", 1) + entry(b"w", -1, 1.0), "the number of calls of 'w' is -1"),
        (struct.pack("<i", 1) + entry(b"w", 1), "the number of values of 'w' is 0"),
        (struct.pack("<i", 1) + entry(b"w", 1, -1.0), "negative or not finite"),
        (struct.pack("<i", 1) + entry(b"w", 1, float("nan")), "negative or not finite"),
    ],
)
def test_an_invalid_file_of_the_older_format_is_refused_with_the_reason(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "imatrix.dat"
    path.write_bytes(data)

    with pytest.raises(ModelFormatError, match=message):
        read_importance(path)
