"""What `run` starts from: token ids given as such, or a text turned into them."""

from __future__ import annotations

import sys
from pathlib import Path

from oxillama.cli.shared.guard import usage_error


def parse_ids(text: str) -> tuple[int, ...]:
    """Token ids separated by commas or spaces."""
    parts = [part.split() or [""] for part in text.split(",")] if text.strip() else []
    try:
        ids = tuple(int(word) for words in parts for word in words)  # an empty item is no number
    except ValueError:
        usage_error(f"--prompt-ids: {text!r} is no list of token ids such as 1,2,3")
    if not ids:
        usage_error("--prompt-ids: at least one token id is needed")
    return ids


def argument_text(argument: str) -> str:
    """An argument as UTF-8, whatever the locale: Python keeps the bytes it could not read as surrogates."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_text(path: Path) -> str:
    """A file's text, or standard input's when the path is "-". A byte order mark at its beginning is no part of it."""
    data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    return data.decode("utf-8-sig", "replace")
