"""Files of importance matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oxillama.errors import ModelFormatError
from oxillama.gguf import GGUFWriter
from oxillama.quant.importance import read_importance, write_importance


def test_what_was_written_is_read_as_means(tmp_path: Path) -> None:
    sums = {"blk.0.attn_q.weight": np.array([[2.0, 4.0]]), "blk.0.up.weight": np.array([[1.0, 3.0], [0.0, 0.0]])}
    counts = {"blk.0.attn_q.weight": np.array([4]), "blk.0.up.weight": np.array([2, 0])}

    write_importance(tmp_path / "x.gguf", sums, counts, dataset="text.txt", n_chunks=3, chunk_size=512)
    found = read_importance(tmp_path / "x.gguf")

    assert found.datasets == ["text.txt"]
    assert found.n_chunks == 3
    np.testing.assert_array_equal(found.columns["blk.0.attn_q.weight"], [[0.5, 1.0]])
    np.testing.assert_array_equal(found.columns["blk.0.up.weight"], [[0.5, 1.5], [1, 1]])  # nothing seen: all alike
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
def test_a_damaged_file_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = write(tmp_path / "x.gguf", **changes)

    with pytest.raises(ModelFormatError, match=f"x.gguf: .*{message}"):
        read_importance(path)


def test_a_file_without_importance_is_named(tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "x.gguf") as writer:
        writer.add("general.type", "imatrix")
        writer.add_tensor("w", np.ones((1, 4), np.float32))

    with pytest.raises(ModelFormatError, match="holds no importance"):
        read_importance(tmp_path / "x.gguf")
