"""Reads the prompts of commands: token ids, arguments and files."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from oxillama.cli.shared.guard import usage_error
from oxillama.errors import OxillamaError

MOST_BYTES = 2**30
"""A text may have this many. A device or a pipe may have no end."""


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
    with ExitStack() as stack:
        stream = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        name = "standard input" if str(path) == "-" else path
        raise OxillamaError(f"{name}: is more than {MOST_BYTES // 2**20:,} MiB of text")
    return data.decode("utf-8-sig", "replace")
