"""Reads a file's hyper-parameters by name, within bounds; errors name the file and the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile

# Limits far above every known model: a larger number is a mistake or an attack.
MAX_LAYERS = 1024
MAX_HEADS = 4096
MAX_WIDTH = 1 << 20
MAX_FF = 1 << 22
MAX_VOCAB = 1 << 24
MAX_CONTEXT = 1 << 30
MAX_EXPERTS = 4096


class Keys:
    """Reads a file's keys under its architecture's name."""

    def __init__(self, gguf: GGUFFile, architecture: str) -> None:
        self.gguf = gguf
        self.architecture = architecture

    def name(self, key: str) -> str:
        return f"{self.architecture}.{key}"

    def whole(self, key: str, default: int | None = None, *, low: int, high: int) -> int:
        """An integer in [low, high]; required unless there is a default."""
        if default is None:
            return self.gguf.require_int(self.name(key), low=low, high=high)
        return self.gguf.get_int(self.name(key), default, low=low, high=high)

    def number(self, key: str, default: float | None = None, *, low: float, high: float) -> float:
        if default is None:
            return self.gguf.require_float(self.name(key), low=low, high=high)
        return self.gguf.get_float(self.name(key), default, low=low, high=high)

    def per_layer(
        self, key: str, n_layer: int, default: tuple[int, ...] | None = None, *, low: int, high: int
    ) -> tuple[int, ...]:
        """One number for all layers, or an array with one per layer."""
        name = self.name(key)
        if not self.gguf.metadata_types.get(name, "").startswith("arr"):
            if default is not None and name not in self.gguf.metadata_types:
                return default
            return (self.whole(key, low=low, high=high),) * n_layer
        values = self.gguf.require_array(name, kind="integer", length=n_layer)
        for value in values:
            if not low <= value <= high:
                self.gguf.fail(name, f"holds {value}, which is not between {low} and {high}")
        return tuple(int(value) for value in values)

    def numbers(self, key: str, n_layer: int, default: float, *, low: float, high: float) -> tuple[float, ...]:
        """One number for all layers, or an array with one per layer."""
        name = self.name(key)
        if not self.gguf.metadata_types.get(name, "").startswith("arr"):
            return (self.number(key, default, low=low, high=high),) * n_layer
        values = tuple(float(value) for value in self.gguf.require_array(name, kind="float", length=n_layer))
        for value in values:
            if not low <= value <= high:
                self.gguf.fail(name, f"holds {value:g}, which is not between {low:g} and {high:g}")
        return values


def read_architecture(gguf: GGUFFile) -> str:
    return gguf.require_str("general.architecture")
