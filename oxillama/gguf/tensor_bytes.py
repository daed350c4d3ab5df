"""Converts a tensor's values to the bytes of its type."""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np

from oxillama.core import _core
from oxillama.errors import InvalidParameterError

TensorData: TypeAlias = "bytes | bytearray | memoryview | np.ndarray[Any, Any]"

_TYPE_NUMBERS = {name: number for number, (name, _, _) in _core.tensor_types().items()}
# Types that numpy supports.
_NATIVE = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}


def tensor_bytes(name: str, type_name: str, shape: tuple[int, ...], data: TensorData) -> bytes | bytearray | memoryview:
    """Bytes and uint8 arrays pass unchanged. Float arrays are converted to the type; integer arrays only to integer
    types that can hold them. `shape` is as in the file; an array may have it reversed, or be flat.

    Raises InvalidParameterError for an array of another size or kind.
    """
    if not isinstance(data, np.ndarray):
        return data
    if data.dtype == np.uint8:
        return _flat(data)
    if data.size != prod(shape) or (data.ndim > 1 and data.shape[::-1] != shape):
        raise InvalidParameterError(f"tensor '{name}': values of shape {list(data.shape)} do not fill {list(shape)}")
    native = _NATIVE.get(type_name)
    if native is not None and np.can_cast(data.dtype, native, "same_kind"):
        if data.dtype.kind in "iu" and not np.can_cast(data.dtype, native, "safe"):
            raise InvalidParameterError(f"tensor '{name}': {data.dtype} values may not fit {type_name}")
        return _flat(data.astype(native, copy=False))
    if data.dtype.kind != "f":
        raise InvalidParameterError(f"tensor '{name}': {data.dtype} values cannot become {type_name}")
    values = np.ascontiguousarray(data, np.float32).reshape(-1)
    return _flat(_core.quantize(_TYPE_NUMBERS[type_name], values))


def _flat(array: np.ndarray[Any, Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
