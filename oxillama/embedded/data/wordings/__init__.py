"""Questions as people type them, written by hand for each fact, by its key; no mark of a template but alternatives."""

from __future__ import annotations

import importlib
import pkgutil


def _merged() -> dict[str, tuple[str, ...]]:
    """The wordings of every module here. Raises ValueError when two word the same fact."""
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        for key, texts in importlib.import_module(f"{__name__}.{name}").WORDINGS.items():
            if key in found:
                raise ValueError(f"{name} words {key!r}, which another module has worded")
            found[key] = texts
    return found


WORDINGS = _merged()
