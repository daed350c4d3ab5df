"""Importance matrices: the importance of each input column of each matrix, as mean squares of activations.

The file is GGUF, as llama.cpp's tools write it: for a matrix NAME the tensors NAME.in_sum2 (sums of squares, one row
per expert) and NAME.counts (how many activations each row has seen), and general.type "imatrix". Files in the older
form of these tools are read too (importance_dat.py).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.errors import InvalidParameterError, ModelFormatError
from oxillama.gguf import GGUFFile, GGUFWriter
from oxillama.quant.importance_dat import read_dat

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = npt.NDArray[np.float32]
_SUMS, _COUNTS = ".in_sum2", ".counts"


@dataclass(frozen=True, slots=True)
class Importance:
    """`columns`: for each matrix the mean squares [experts, columns] of its input."""

    path: str
    columns: dict[str, Floats]
    datasets: list[str] = field(default_factory=list)
    n_chunks: int = 0
    flat: bool = False  # the file does not say how many experts a row holds

    def of(self, name: str, shape: tuple[int, ...]) -> Floats | None:
        """The importance for a tensor of that shape, [experts, columns]; None: not measured.

        Raises InvalidParameterError if it was measured with other dimensions.
        """
        found = self.columns.get(name)
        experts = shape[2] if len(shape) > 2 else 1
        if found is not None and self.flat and found.size == experts * shape[0]:
            found = found.reshape(experts, shape[0])
        if found is not None and found.shape != (experts, shape[0]):
            raise InvalidParameterError(
                f"{self.path}: '{name}' has importance for {list(found.shape)} experts and columns, the model has "
                f"{[experts, shape[0]]}: it belongs to another model"
            )
        return found


def read_importance(path: str | os.PathLike[str]) -> Importance:
    """Read a file in either form. Raises OSError, ModelFormatError."""
    if stat.S_ISFIFO(os.stat(path).st_mode):  # the file is opened twice, and opening a pipe may wait forever
        raise ModelFormatError(f"{os.fspath(path)}: is a pipe, not an importance matrix")
    with open(path, "rb") as start:
        if start.read(4) != b"GGUF":
            return Importance(os.fspath(path), *read_dat(path), flat=True)
    file = GGUFFile(path)
    if file.get_str("general.type") != "imatrix":
        raise ModelFormatError(f"{file.path}: is not an importance matrix: general.type is not 'imatrix'")
    columns = {}
    for name, info in file.tensors.items():
        if not name.endswith(_SUMS):
            continue
        matrix = name.removesuffix(_SUMS)
        counts_info = file.tensors.get(matrix + _COUNTS)
        n_cols, n_rows = info.shape[0], info.n_elements // info.shape[0]
        if info.type_name != "F32" or counts_info is None or counts_info.type_name != "F32":
            raise ModelFormatError(f"{file.path}: '{matrix}' needs F32 tensors {_SUMS[1:]} and {_COUNTS[1:]}")
        if counts_info.n_elements != n_rows:
            raise ModelFormatError(f"{file.path}: '{matrix}' has {counts_info.n_elements} counts for {n_rows} rows")
        sums = file.raw(name).view(np.float32).reshape(n_rows, n_cols)
        counts = file.raw(matrix + _COUNTS).view(np.float32).reshape(n_rows, 1)
        if not (np.isfinite(sums).all() and np.isfinite(counts).all() and (sums >= 0).all() and (counts >= 0).all()):
            raise ModelFormatError(f"{file.path}: '{matrix}' has values that are negative or not finite")
        # An expert that saw no row: all its columns count equally.
        columns[matrix] = np.where(counts > 0, sums / np.maximum(counts, 1e-30), 1.0).astype(np.float32)
    if not columns:
        raise ModelFormatError(f"{file.path}: holds no importance ('…{_SUMS}' tensors)")
    return Importance(
        file.path,
        columns,
        list(file.get_strs("imatrix.datasets", []) or []),
        file.get_int("imatrix.chunk_count", 0, low=0),
    )


def write_importance(
    path: str | os.PathLike[str],
    sums: Mapping[str, npt.NDArray[np.float64]],
    counts: Mapping[str, npt.NDArray[np.int64]],
    *,
    dataset: str,
    n_chunks: int,
    chunk_size: int,
) -> None:
    """`sums`: [experts, columns] sums of squares per matrix; `counts`: [experts]. Raises OSError."""
    with GGUFWriter(path) as writer:
        writer.add("general.type", "imatrix", "str")
        writer.add("imatrix.datasets", [dataset], "arr[str]")
        writer.add("imatrix.chunk_count", n_chunks, "u32")
        writer.add("imatrix.chunk_size", chunk_size, "u32")
        for name in sorted(sums):
            writer.add_tensor(name + _SUMS, sums[name].astype(np.float32))
            writer.add_tensor(name + _COUNTS, counts[name].astype(np.float32).reshape(-1, 1))
