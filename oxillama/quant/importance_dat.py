"""Importance matrices in the form that llama.cpp's tools wrote before they used GGUF (".dat" files).

Little-endian: i32 entries; for each: i32 length and bytes of the matrix's name, i32 calls, i32 values, f32 values (mean
squares times calls, all experts one after the other). Then, in later versions: i32 chunks, i32 length and bytes of
the text's name.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oxillama.errors import ModelFormatError

MAX_ENTRIES = 1 << 20
MAX_NAME = 1024
MAX_BYTES = 1 << 30


class _Reader:
    """A cursor that never leaves the file's bytes."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path, self._data, self._at = path, data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, n: int, what: str) -> bytes:
        if n > self.left:
            raise self.broken(f"it ends in the middle of {what}")
        self._at += n
        return self._data[self._at - n : self._at]

    def count(self, what: str, low: int, high: int) -> int:
        """An i32 from low to high."""
        value = int(struct.unpack("<i", self.take(4, what))[0])
        if not low <= value <= high:
            raise self.broken(f"{what} is {value}")
        return value

    def text(self, what: str) -> str:
        try:
            return self.take(self.count(f"the length of {what}", 0, MAX_NAME), what).decode()
        except UnicodeDecodeError:
            raise self.broken(f"{what} is not UTF-8") from None

    def broken(self, why: str) -> ModelFormatError:
        return ModelFormatError(f"{self.path}: is not an importance matrix, neither GGUF nor .dat: {why}")


def read_dat(path: str | os.PathLike[str]) -> tuple[dict[str, npt.NDArray[np.float32]], list[str], int]:
    """(mean squares [1, values] by matrix, names of texts, chunks). Raises OSError, ModelFormatError."""
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        reader = _Reader(os.fspath(path), file.read(min(size, MAX_BYTES) + 1))
    if reader.left > MAX_BYTES:
        raise reader.broken(f"it is larger than {MAX_BYTES >> 20} MiB")
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for n in range(reader.count("the number of its entries", 1, MAX_ENTRIES)):
        name = reader.text(f"the name of entry {n}")
        if not name or name in columns:
            raise reader.broken(f"the name of entry {n} is {name!r}" + (" for the second time" if name else ""))
        calls = reader.count(f"the number of calls of '{name}'", 0, 2**31 - 1)
        n_values = reader.count(f"the number of values of '{name}'", 1, 2**31 - 1)
        values = np.frombuffer(reader.take(4 * n_values, f"the values of '{name}'"), "<f4")
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ModelFormatError(f"{reader.path}: '{name}' has values that are negative or not finite")
        columns[name] = (values / max(1, calls)).astype(np.float32).reshape(1, -1)
    if not reader.left:
        return columns, [], 0
    chunks = reader.count("the number of its chunks", 0, 2**31 - 1)
    text = reader.text("the name of its text") if reader.left else ""
    return columns, [text] if text else [], chunks
