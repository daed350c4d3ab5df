"""One folder per API: its request, its answer and its routes. A folder that is added here is served."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from oxillama.server.operation import API


def find_apis() -> list[API]:
    """The `api` of each folder's `routes`. The package lists its folders itself, also from a wheel or a zip file."""
    found = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        if module.ispkg:
            api = import_module(f"{__name__}.{module.name}.routes").api
            if not isinstance(api, API):
                raise TypeError(f"{__name__}.{module.name}.routes.api is no API")
            found.append(api)
    return found
