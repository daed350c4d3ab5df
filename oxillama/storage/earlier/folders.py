"""Directories of JSON files."""

from __future__ import annotations

import posixpath

from oxillama.errors import StoreDamagedError
from oxillama.storage.durable import Durable
from oxillama.storage.ids import is_id

Objects = list[tuple[str, bytes]]
"""Ids and JSON of stored objects. Damaged ones are there too."""


def json_files(durable: Durable, directory: str, prefix: str) -> Objects:
    """The objects of `<directory>/<id>.json`."""
    names = [name.removesuffix(".json") for name in durable.list_dir(directory) if name.endswith(".json")]
    return _read(durable, {name: posixpath.join(directory, f"{name}.json") for name in names if is_id(name, prefix)})


def heads(durable: Durable, directory: str, head: str, prefix: str) -> Objects:
    """The objects of `<directory>/<id>/<head>`. A directory without its head is a deleted object."""
    names = [name for name in durable.list_dir(directory) if is_id(name, prefix)]
    return _read(durable, {name: posixpath.join(directory, name, head) for name in names})


def _read(durable: Durable, paths: dict[str, str]) -> Objects:
    found = []
    for object_id, path in sorted(paths.items()):
        try:
            found.append((object_id, durable.read_bytes(path)))
        except FileNotFoundError:
            continue
        except StoreDamagedError as error:
            found.append((object_id, str(error).encode()))
    return found
