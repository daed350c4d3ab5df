"""What commands write for machines."""

from __future__ import annotations

import sys
from typing import Any


def print_json(value: Any) -> None:
    """One JSON object, indented. What is no UTF-8 (kept as surrogates) becomes replacement characters."""
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
