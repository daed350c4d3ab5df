"""Architectures as programs: from a GGUF file to a runner that steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oxillama.models.describe import ModelDescription, describe_model
    from oxillama.models.index import architectures
    from oxillama.models.load import LoadedModel, load_model
    from oxillama.models.params.common import HParams

_HOMES = {
    "HParams": "params.common",
    "LoadedModel": "load",
    "ModelDescription": "describe",
    "architectures": "index",
    "describe_model": "describe",
    "load_model": "load",
}

__all__ = ["HParams", "LoadedModel", "ModelDescription", "architectures", "describe_model", "load_model"]


def __getattr__(name: str) -> Any:
    """Import on first use: numpy and the core are not needed to import the package."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
