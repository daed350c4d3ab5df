"""The interface that a family's module provides for each architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.params.common import HParams


class Architecture(Protocol):
    """A description of one network, independent of any file."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        """Read and check the hyper-parameters. Raises ModelFormatError or ModelUnsupportedError."""

    def build(self, b: Builder) -> None:
        """Describe the network, from `b.embed()` to `b.output()`."""
