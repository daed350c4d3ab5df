"""JSON output, and checks of the files that commands write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from oxillama.cli.shared.guard import usage_error


def check_output(name: str, path: Path) -> None:
    """End the command now, before long work, if no file can be written at `path`.

    name: the option or argument with the path. Devices and pipes are refused: the new file would replace them.
    """
    if path.is_dir():
        usage_error(f"{name} {path}: is a folder; name a file in it")
    if path.exists() and not path.is_file():
        usage_error(f"{name} {path}: is a device, pipe or socket, not a file")
    if not path.parent.is_dir():
        usage_error(f"{name} {path}: there is no folder {path.parent}")


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
