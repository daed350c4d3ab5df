"""Questions as people type them, written by hand for each fact, by its key; no mark of a template but alternatives."""

from __future__ import annotations

import importlib
import pkgutil


def _merged() -> dict[str, tuple[str, ...]]:
    """The wordings of every module here and in the folders below. Raises ValueError when two word the same fact."""
    found: dict[str, tuple[str, ...]] = {}
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        if module.ispkg:
            continue
        for key, texts in importlib.import_module(module.name).WORDINGS.items():
            if key in found:
                raise ValueError(f"{module.name} words {key!r}, which another module has worded")
            found[key] = texts
    return found


WORDINGS = _merged()
