"""JSON output, and checks of the files that commands write."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oxillama.cli.shared.guard import usage_error

_SHARD = re.compile(r"(.*-)\d{5}(-of-\d{5}\.gguf)", re.DOTALL)


def check_output(name: str, path: Path, *inputs: Path | None) -> None:
    """End the command now, before long work, if no file can be written at `path`.

    name: the option or argument with the path. inputs: the files that the command reads; None for one that is not
    given. Inputs, devices and pipes are refused: the new file would replace them.
    """
    if path.is_dir():
        usage_error(f"{name} {path}: is a folder; name a file in it")
    if path.exists() and not path.is_file():
        usage_error(f"{name} {path}: is a device, pipe or socket, not a file")
    if not path.parent.is_dir():
        usage_error(f"{name} {path}: there is no folder {path.parent}")
    if path.exists() and any(file.samefile(path) for read in inputs if read is not None for file in _files_of(read)):
        usage_error(f"{name} {path}: is a file that this command reads; name another one")


def _files_of(path: Path) -> Iterator[Path]:
    """The existing files that reading `path` means: all shards of a sharded model."""
    shard = _SHARD.fullmatch(path.name)
    if shard is None:
        found = [path]
    else:
        found = [file for file in path.parent.iterdir() if _is_sibling(file.name, shard[1], shard[2])]
    yield from (file for file in found if file.exists())


def _is_sibling(name: str, before: str, after: str) -> bool:
    other = _SHARD.fullmatch(name)
    return other is not None and (other[1], other[2]) == (before, after)


def print_json(value: Any) -> None:
    """Print a value as indented JSON. Bytes that are not UTF-8 (kept as surrogates) become U+FFFD."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(_clean(value)), indent=2)
    sys.stdout.write(text.decode() + "\n")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_clean(k): _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return value
