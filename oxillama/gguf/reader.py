"""A GGUF file's metadata and tensors, with getters that name the file and the key when something is wrong."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, overload

from oxillama.core._core import GGUF
from oxillama.errors import ModelFormatError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from oxillama.core._core import MetadataValue, TensorInfo

INTEGER_TYPES = frozenset({"u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"})
FLOAT_TYPES = frozenset({"f32", "f64"})
T = TypeVar("T")
ArrayKind = Literal["integer", "float", "number", "bool"]
_ARRAY_KINDS: dict[ArrayKind, frozenset[str]] = {
    "integer": INTEGER_TYPES,
    "float": FLOAT_TYPES,
    "number": INTEGER_TYPES | FLOAT_TYPES,
    "bool": frozenset({"bool"}),
}


class GGUFFile:
    """An open model file (all its shards), read-only and mapped. Threads may share one.

    For an absent key `get_*` returns `default` and `require_*` raises. Both raise ModelFormatError, naming the file
    and the key, for a value of the wrong type or out of bounds. Raises OSError, ModelFormatError or
    ModelUnsupportedError if the file cannot be opened.

    Truncating the file in place while it is open makes reads fail or, during a read, kills the process. As with any
    mapped file, replace a model by renaming a new file over the old one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.core = GGUF(path)

    def __repr__(self) -> str:
        return f"GGUFFile({self.path!r})"

    @property
    def path(self) -> str:
        """The path as given (for shards: the first one)."""
        return self.core.path

    @property
    def file_bytes(self) -> int:
        """Size of all shards together."""
        return self.core.file_bytes

    @cached_property
    def metadata(self) -> Mapping[str, MetadataValue]:
        """All keys in the file's order. A value is decoded on first access and cached.

        Strings that are not UTF-8 hold surrogates (surrogateescape).
        """
        return _Metadata(self.core, self.metadata_types)

    @cached_property
    def metadata_types(self) -> dict[str, str]:
        """Each key's type as GGUF names it: "u32", "str", "arr[i32]", …"""
        return self.core.metadata_types()

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """Descriptions of all tensors in the file's order."""
        return self.core.tensors()

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """A tensor's bytes, a read-only view of the mapping.

        Raises ModelFormatError if the file has no such tensor.
        """
        if name not in self.tensors:
            raise ModelFormatError(f"{self.path}: tensor '{name}' is missing")
        return self.core.raw(name)

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raise ModelFormatError for a key whose value is `problem`."""
        raise ModelFormatError(f"{self.path}: key '{key}': {problem}")

    def _lookup(self, key: str, allowed: frozenset[str], wanted: str) -> Any:
        """The value of a key of one of the allowed types; None when it is absent."""
        found = self.metadata_types.get(key)
        if found is None:
            return None
        if found not in allowed:
            self.fail(key, f"must be {wanted}, not {found}")
        return self.metadata[key]

    def _required(self, key: str, value: T | None) -> T:
        if value is None:
            raise ModelFormatError(f"{self.path}: key '{key}' is missing")
        return value

    # ------------------------------------------------------------------------------------------------------- scalars

    @overload
    def get_int(self, key: str, default: int, *, low: int | None = None, high: int | None = None) -> int: ...
    @overload
    def get_int(
        self, key: str, default: None = None, *, low: int | None = None, high: int | None = None
    ) -> int | None: ...
    def get_int(
        self, key: str, default: int | None = None, *, low: int | None = None, high: int | None = None
    ) -> int | None:
        """An integer of any integer type; low and high are the bounds, inclusive."""
        value: int | None = self._lookup(key, INTEGER_TYPES, "an integer")
        if value is None:
            return default
        if (low is not None and value < low) or (high is not None and value > high):
            self.fail(key, f"{value} is not {_range(low, high)}")
        return value

    def require_int(self, key: str, *, low: int | None = None, high: int | None = None) -> int:
        return self._required(key, self.get_int(key, low=low, high=high))

    @overload
    def get_float(self, key: str, default: float, *, low: float | None = None, high: float | None = None) -> float: ...
    @overload
    def get_float(
        self, key: str, default: None = None, *, low: float | None = None, high: float | None = None
    ) -> float | None: ...
    def get_float(
        self, key: str, default: float | None = None, *, low: float | None = None, high: float | None = None
    ) -> float | None:
        """A finite f32 or f64; low and high are the bounds, inclusive."""
        value: float | None = self._lookup(key, FLOAT_TYPES, "a float")
        if value is None:
            return default
        if not math.isfinite(value):
            self.fail(key, f"{value} is not a finite number")
        if (low is not None and value < low) or (high is not None and value > high):
            self.fail(key, f"{value:g} is not {_range(low, high)}")
        return value

    def require_float(self, key: str, *, low: float | None = None, high: float | None = None) -> float:
        return self._required(key, self.get_float(key, low=low, high=high))

    @overload
    def get_bool(self, key: str, default: bool) -> bool: ...
    @overload
    def get_bool(self, key: str, default: None = None) -> bool | None: ...
    def get_bool(self, key: str, default: bool | None = None) -> bool | None:
        value: bool | None = self._lookup(key, frozenset({"bool"}), "a bool")
        return default if value is None else value

    def require_bool(self, key: str) -> bool:
        return self._required(key, self.get_bool(key))

    @overload
    def get_str(self, key: str, default: str) -> str: ...
    @overload
    def get_str(self, key: str, default: None = None) -> str | None: ...
    def get_str(self, key: str, default: str | None = None) -> str | None:
        value: str | None = self._lookup(key, frozenset({"str"}), "a string")
        return default if value is None else value

    def require_str(self, key: str) -> str:
        return self._required(key, self.get_str(key))

    # -------------------------------------------------------------------------------------------------------- arrays

    def get_strs(self, key: str, default: list[str] | None = None) -> list[str] | None:
        """An array of strings; the list belongs to the metadata and must not be changed."""
        value: list[str] | None = self._lookup(key, frozenset({"arr[str]"}), "an array of strings")
        return default if value is None else value

    def require_strs(self, key: str) -> list[str]:
        return self._required(key, self.get_strs(key))

    def get_array(
        self,
        key: str,
        default: npt.NDArray[Any] | None = None,
        *,
        kind: ArrayKind = "number",
        length: int | None = None,
    ) -> npt.NDArray[Any] | None:
        """An array of the given kind, in the file's own width; `length`: how many elements it must have."""
        wanted = f"an array of {'bools' if kind == 'bool' else kind + 's'}"
        value: npt.NDArray[Any] | None = self._lookup(key, frozenset(f"arr[{t}]" for t in _ARRAY_KINDS[kind]), wanted)
        if value is None:
            return default
        if length is not None and len(value) != length:
            self.fail(key, f"has {len(value)} elements, not {length}")
        return value

    def require_array(self, key: str, *, kind: ArrayKind = "number", length: int | None = None) -> npt.NDArray[Any]:
        return self._required(key, self.get_array(key, kind=kind, length=length))


class _Metadata(Mapping[str, "MetadataValue"]):
    """A file's keys and values. A vocabulary is slow to decode, and nested arrays take many times their size in
    memory, so each value is decoded only when it is looked up."""

    def __init__(self, core: GGUF, types: Mapping[str, str]) -> None:
        self._core = core
        self._types = types
        self._decoded: dict[str, MetadataValue] = {}

    def __getitem__(self, key: str) -> MetadataValue:
        if key not in self._decoded:
            self._decoded[key] = self._core.value(key)
        return self._decoded[key]

    def __contains__(self, key: object) -> bool:
        return key in self._types

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"between {low} and {high}"
