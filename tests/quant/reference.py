"""llama.cpp's quantisers through ctypes, and what they gave on the rows of rows.py, which tests compare with where the
library is absent.

    python -m tests.quant.reference .../libggml-base.so      prints the table for recorded.py
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oxillama.core import _core
from tests.quant.rows import KINDS, NUMBERS, TYPES, Floats, decoded, error, importance, rows

VARIABLE = "LLAMA_CPP_LIB"
NEED_IMPORTANCE = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS")


def library_path() -> Path | None:
    """libggml-base, from the variable that names it or the directory it is in."""
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    path = Path(value)
    return path / "libggml-base.so" if path.is_dir() else path


@cache
def _library(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int,
        *[ctypes.c_void_p] * 2,
        *[ctypes.c_int64] * 3,
        ctypes.c_void_p,
    ]
    return library


def quantized(path: Path, name: str, x: Floats, weight: Floats | None = None) -> npt.NDArray[np.uint8]:
    library = _library(path)
    _, block, size = _core.tensor_types()[NUMBERS[name]]
    if weight is None and name in NEED_IMPORTANCE:
        weight = np.ones(x.shape[1], np.float32)
    raw = np.zeros(x.size // block * size, np.uint8)
    library.ggml_quantize_init(NUMBERS[name])
    columns = None if weight is None else weight.ctypes.data
    library.ggml_quantize_chunk(NUMBERS[name], x.ctypes.data, raw.ctypes.data, 0, *x.shape, columns)
    return raw


def theirs(path: Path, name: str, x: Floats, weight: Floats | None = None) -> float:
    return error(x, decoded(name, quantized(path, name, x, weight), x.shape), weight)


def main() -> None:
    path = Path(sys.argv[1])
    print("RECORDED = {")
    for name in TYPES:
        plain = [round(theirs(path, name, rows(kind)), 5) for kind in KINDS]
        weighted = [round(theirs(path, name, rows(kind), importance()), 5) for kind in KINDS]
        print(f'    "{name}": ({plain}, {weighted}),'.replace("[", "(").replace("]", ")"))
    print("}")


if __name__ == "__main__":
    main()
