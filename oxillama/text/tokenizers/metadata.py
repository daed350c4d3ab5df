"""Typed reads of GGUF metadata for the text layer. A wrong type raises a ModelFormatError that names the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from oxillama.errors import ModelFormatError

Metadata = Mapping[str, Any]


def _wrong(key: str, value: object, wanted: str) -> ModelFormatError:
    if isinstance(value, np.ndarray):
        got = f"an array of {value.dtype}"
    elif isinstance(value, list):
        got = f"an array of {type(value[0]).__name__}" if value else "an empty array"
    else:
        got = f"{type(value).__name__} {str(value)[:40]!r}"
    return ModelFormatError(f"{key} must be {wanted}, not {got}.")


def get_str(metadata: Metadata, key: str, default: str | None = None) -> str | None:
    """A string, or `default` if the key is missing."""
    value = metadata.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise _wrong(key, value, "a string")
    return value


def get_bool(metadata: Metadata, key: str, default: bool) -> bool:
    """A boolean, or `default` if the key is missing."""
    value = metadata.get(key)
    if value is None:
        return default
    if not isinstance(value, (bool, np.bool_)):
        raise _wrong(key, value, "a boolean")
    return bool(value)


def get_int(metadata: Metadata, key: str) -> int | None:
    """An integer, or None if the key is missing."""
    value = metadata.get(key)
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise _wrong(key, value, "an integer")
    return int(value)


def get_strs(metadata: Metadata, key: str) -> list[str] | None:
    """A list of strings, or None if the key is missing."""
    value = metadata.get(key)
    if value is None:
        return None
    if isinstance(value, np.ndarray) and value.size == 0:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(key, value, "an array of strings")
    return value


def get_array(
    metadata: Metadata, key: str, dtypes: tuple[type[np.generic], ...], wanted: str, length: int | None = None
) -> npt.NDArray[Any] | None:
    """A one-dimensional numeric array, or None if the key is missing.

    Raises ModelFormatError unless its element type is one of `dtypes` and its length is `length`, if that is given.
    """
    value = metadata.get(key)
    if value is None:
        return None
    if isinstance(value, list) and not value:
        value = np.zeros(0, dtypes[0])
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.type not in dtypes:
        raise _wrong(key, value, f"an array of {wanted}")
    if length is not None and len(value) != length:
        raise ModelFormatError(f"{key} has {len(value)} entries, but tokenizer.ggml.tokens has {length}.")
    return value
