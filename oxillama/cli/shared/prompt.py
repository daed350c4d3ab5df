"""Reads the prompts of commands: token ids, arguments and files."""

from __future__ import annotations

import sys
from pathlib import Path

from oxillama.cli.shared.guard import usage_error


def parse_ids(text: str) -> tuple[int, ...]:
    """Parse token ids separated by commas or spaces; an invalid list ends the command."""
    parts = [part.split() or [""] for part in text.split(",")] if text.strip() else []
    try:
        ids = tuple(int(word) for words in parts for word in words)  # an empty item is not a number
    except ValueError:
        usage_error(f"--prompt-ids: {text!r} is not a list of token ids such as 1,2,3")
    if not ids:
        usage_error("--prompt-ids: at least one token id is needed")
    return ids


def argument_text(argument: str) -> str:
    """An argument read as UTF-8 in every locale. Python keeps bytes that it cannot decode as surrogates."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_text(path: Path) -> str:
    """The text of a file, or of standard input if the path is "-", without a byte order mark. Raises OSError."""
    data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    return data.decode("utf-8-sig", "replace")
