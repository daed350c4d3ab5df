"""Encodes metadata values as GGUF stores them: little-endian, strings and arrays preceded by their length."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

# GGUF's number for each value type, and the struct letter of those with a fixed size.
TYPE_NUMBERS = {
    "u8": 0,
    "i8": 1,
    "u16": 2,
    "i16": 3,
    "u32": 4,
    "i32": 5,
    "f32": 6,
    "bool": 7,
    "str": 8,
    "arr": 9,
    "u64": 10,
    "i64": 11,
    "f64": 12,
}
_LETTERS = {
    "u8": "B",
    "i8": "b",
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "f32": "f",
    "bool": "?",
    "u64": "Q",
    "i64": "q",
    "f64": "d",
}
MAX_KEY_BYTES = 65535
MAX_NAME_BYTES = 64


def encode_text(text: str | bytes) -> bytes:
    """A string with its length. A str may hold surrogates for bytes that are not UTF-8, as the reader returns them."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def encode_key(key: str, limit: int, what: str) -> bytes:
    """A key's or tensor's name, checked against the limits of readers."""
    encoded = encode_text(key)
    if not 8 < len(encoded) <= 8 + limit or b"\0" in encoded[8:]:
        raise InvalidParameterError(f"{what} '{key}': must have 1 to {limit} bytes, none of them zero")
    return encoded


def infer_type(key: str, value: Any) -> str:
    """The default type of a value: the narrowest of those that converters usually write."""
    match value:
        case bool() | np.bool_():
            return "bool"
        case str() | bytes():
            return "str"
        case np.ndarray() if value.ndim == 1:
            return f"arr[{_numpy_type(key, value.dtype)}]"
        case np.generic():
            return _numpy_type(key, value.dtype)
        case int():
            return _integer_type(key, value, value, ("u32", "i32", "u64", "i64"))
        case float():
            return "f32"
        case list() | tuple() if value:
            return f"arr[{_element_type(key, value)}]"
    raise InvalidParameterError(f"key '{key}': give the type of this {type(value).__name__} explicitly")


def _numpy_type(key: str, dtype: np.dtype[Any]) -> str:
    name = "bool" if dtype.kind == "b" else f"{dtype.kind}{8 * dtype.itemsize}"
    if name not in _LETTERS:
        raise InvalidParameterError(f"key '{key}': GGUF has no type for numpy's {dtype}")
    return name


def _integer_type(key: str, low: int, high: int, candidates: tuple[str, ...]) -> str:
    for name in candidates:
        bits = int(name[1:])
        least, most = (0, 2**bits - 1) if name[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if least <= low and high <= most:
            return name
    raise InvalidParameterError(f"key '{key}': {low if low < 0 else high} does not fit 64 bits")


def _element_type(key: str, values: Sequence[Any]) -> str:
    kinds = {infer_type(key, value) for value in values}
    if len(kinds) == 1 and not kinds & {"u32", "i32", "u64", "i64"}:
        return kinds.pop()
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return _integer_type(key, min(values), max(values), ("i32", "u32", "i64", "u64"))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return "f32"
    raise InvalidParameterError(f"key '{key}': an array's elements must be of one type")


def encode_value(key: str, value: Any, kind: str) -> bytes:
    """Type number(s) and value. `kind` is a type name as in GGUFFile.metadata_types, nested as deep as needed:
    "u32", "str", "arr[f32]", "arr[arr[str]]".

    Raises InvalidParameterError, naming the key, for an unknown type or a value that does not fit it.
    """
    element = kind[4:-1] if kind.startswith("arr[") and kind.endswith("]") else None
    number = TYPE_NUMBERS.get("arr" if element is not None else kind)
    if number is None or kind == "arr":
        raise InvalidParameterError(f"key '{key}': '{kind}' is not a GGUF type")
    try:
        body = _scalar(value, kind) if element is None else _array(key, value, element)
    except (struct.error, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InvalidParameterError):
            raise
        raise InvalidParameterError(f"key '{key}': the value is not a valid {kind}: {error}") from None
    return struct.pack("<I", number) + body


def _scalar(value: Any, kind: str) -> bytes:
    if kind == "str":
        if not isinstance(value, str | bytes):
            raise TypeError(f"{type(value).__name__} is not a string")
        return encode_text(value)
    if kind == "bool" and not isinstance(value, bool | np.bool_):
        raise TypeError(f"{value!r} is not a bool")
    return struct.pack("<" + _LETTERS[kind], value)


def _array(key: str, values: Any, element: str) -> bytes:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise TypeError(f"{type(values).__name__} is not a sequence")
    if element.startswith("arr"):
        items = [encode_value(key, value, element) for value in values]
        # Each item repeats the element's type number, which an array states once.
        head = struct.pack("<IQ", TYPE_NUMBERS["arr"], len(values))
        return head + b"".join(item[4:] for item in items)
    if element not in TYPE_NUMBERS:
        raise InvalidParameterError(f"key '{key}': '{element}' is not a GGUF type")
    head = struct.pack("<IQ", TYPE_NUMBERS[element], len(values))
    if isinstance(values, np.ndarray) and element in _LETTERS and np.can_cast(values.dtype, "<" + _LETTERS[element]):
        return head + values.astype("<" + _LETTERS[element]).tobytes()
    if element in _LETTERS and element != "bool":
        return head + struct.pack(f"<{len(values)}{_LETTERS[element]}", *values)
    return head + b"".join([_scalar(value, element) for value in values])
