"""Which architectures there are. Each family's module registers its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from oxillama.errors import ModelUnsupportedError

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.builder import Builder
    from oxillama.models.hparams import HParams


class Architecture(Protocol):
    """What a family's file provides."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        """Read and check the hyper-parameters."""

    def build(self, b: Builder) -> None:
        """Describe the network, from `b.embed()` to `b.output()`."""


_ARCHITECTURES: dict[str, Callable[[], Architecture]] = {}
A = TypeVar("A", bound=Callable[[], Architecture])


def register(*names: str) -> Callable[[A], A]:
    """Class decorator: this class describes the architectures with these names (general.architecture)."""

    def add(cls: A) -> A:
        for name in names:
            _ARCHITECTURES[name] = cls
        return cls

    return add


def architectures() -> list[str]:
    """Names of all architectures that can run, sorted."""
    from oxillama.models import llama, qwen  # noqa: F401  (they register themselves)

    return sorted(_ARCHITECTURES)


def find_architecture(gguf: GGUFFile, name: str) -> Architecture:
    known = architectures()
    if name not in _ARCHITECTURES:
        raise ModelUnsupportedError(
            f"{gguf.path}: architecture {name[:60]!r} is not supported; these are: {', '.join(known)}"
        )
    return _ARCHITECTURES[name]()
