"""Looks up the tensors that a model's description needs: each by name, with its exact shape and type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import numpy.typing as npt

from oxillama.core._core import dequantize, packed_bytes
from oxillama.errors import ModelFormatError, ModelUnsupportedError

if TYPE_CHECKING:
    from oxillama.core._core import TensorInfo
    from oxillama.gguf import GGUFFile

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Vector:
    """`n` float32 values that are read from the file only when the program is loaded."""

    n: int
    read: Callable[[], Float32]

    def times(self, other: Vector) -> Vector:
        """The product with as many values, or with one."""
        return Vector(self.n, lambda: self.read() * other.read())

    def repeated(self, n: int) -> Vector:
        """One value, n times."""
        return Vector(n, lambda: np.repeat(self.read(), n))

    def scaled(self, by: float) -> Vector:
        return Vector(self.n, lambda: self.read() * np.float32(by))


@dataclass(frozen=True, slots=True)
class Matrix:
    """A tensor to pack as a matrix [n_rows, n_cols], or as n_experts of them; or rows of one, from first_row on."""

    name: str
    n_rows: int
    n_cols: int
    n_experts: int = 1
    first_row: int = 0


class Tensors:
    """Checks tensors without touching their data, and remembers which ones the model uses."""

    def __init__(self, gguf: GGUFFile) -> None:
        self.gguf = gguf
        self.used: set[str] = set()
        self.packed_bytes = 0

    def has(self, name: str) -> bool:
        return name in self.gguf.tensors

    def fail(self, name: str, problem: str) -> NoReturn:
        raise ModelFormatError(f"{self.gguf.path}: tensor '{name}' {problem}")

    def find(self, name: str, shape: tuple[int, ...]) -> TensorInfo:
        """The tensor `name`, which must have this shape (as in the file: the input dimension first)."""
        self.require(name)
        info = self.gguf.tensors[name]
        found = info.shape
        # A file may state trailing dimensions of 1.
        if _trimmed(found) != _trimmed(shape):
            self.fail(name, f"has shape {list(found)}, not {list(shape)}")
        self.used.add(name)
        return info

    def require(self, *names: str) -> None:
        """Tensors that are elsewhere optional. Raises ModelFormatError for one that is missing."""
        for name in names:
            if not self.has(name):
                raise ModelFormatError(f"{self.gguf.path}: tensor '{name}' is missing")

    def ignore(self, name: str) -> None:
        """Accept a tensor that may exist but has no part in the computation."""
        self.used.add(name)

    def ignore_layers(self, first: int, count: int) -> None:
        """Accept layers that have no part in the computation."""
        prefixes = tuple(f"blk.{layer}." for layer in range(first, first + count))
        self.used.update(name for name in self.gguf.tensors if name.startswith(prefixes))

    def ignore_matching(self, prefix: str, *parts: str) -> None:
        """Accept the tensors that begin so and have one of the parts in their names."""
        for name in self.gguf.tensors:
            if name.startswith(prefix) and any(part in name for part in parts):
                self.used.add(name)

    def matrix(
        self,
        name: str,
        n_rows: int,
        n_cols: int,
        n_experts: int = 1,
        *,
        first_row: int = 0,
        of_rows: int | None = None,
        joined: bool = False,
    ) -> Matrix:
        """A matrix to multiply with. of_rows: rows of the whole tensor, of which `n_rows` from first_row on are meant.
        joined: the experts' rows follow one another in a tensor of two dimensions.

        Raises ModelFormatError or ModelUnsupportedError, naming the tensor.
        """
        of_rows = n_rows if of_rows is None else of_rows
        shape = (n_cols, of_rows * n_experts) if joined or n_experts == 1 else (n_cols, of_rows, n_experts)
        info = self.find(name, shape)
        try:
            self.packed_bytes += n_experts * packed_bytes(info.type, n_rows, n_cols)
        except (ModelUnsupportedError, ModelFormatError, ValueError) as error:
            raise ModelUnsupportedError(f"{self.gguf.path}: tensor '{name}': {error}") from None
        # Needed only to quantise activations for accelerators.
        self.ignore(name.removesuffix(".weight") + ".input_scale")
        return Matrix(name, n_rows, n_cols, n_experts, first_row)

    def table(self, name: str, n_rows: int, n_cols: int) -> str:
        """A table whose rows are decoded one by one."""
        info = self.find(name, (n_cols, n_rows))
        try:
            packed_bytes(info.type, n_rows, n_cols)  # every type that can be a matrix can be decoded
        except (ModelUnsupportedError, ModelFormatError, ValueError) as error:
            raise ModelUnsupportedError(f"{self.gguf.path}: tensor '{name}': {error}") from None
        return name

    def vector(self, name: str, n: int, shape: tuple[int, ...] | None = None) -> Vector:
        """`n` values, decoded to float32 when the model is loaded."""
        info = self.find(name, shape or (n,))
        if info.type_name not in ("F32", "F16", "BF16"):
            raise ModelUnsupportedError(
                f"{self.gguf.path}: tensor '{name}' has type {info.type_name}; F32, F16 or BF16 is needed here"
            )

        def read() -> Float32:
            return dequantize(info.type, self.gguf.raw(name), n)

        return Vector(n, read)

    def optional_vector(self, name: str, n: int, shape: tuple[int, ...] | None = None) -> Vector | None:
        return self.vector(name, n, shape) if self.has(name) else None

    def refuse_unused(self, architecture: str) -> None:
        """Refuse a tensor that the description does not know: leaving it out would silently change the model."""
        for name in self.gguf.tensors:
            if name not in self.used:
                raise ModelUnsupportedError(
                    f"{self.gguf.path}: tensor '{name}' has no part in the '{architecture}' architecture as implemented"
                )


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    n = len(shape)
    while n > 1 and shape[n - 1] == 1:
        n -= 1
    return shape[:n]
