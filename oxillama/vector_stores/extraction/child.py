"""The child process that reads one file: its limits, then its work.

Files come from users and cannot be trusted: a zip or PDF file of a few kilobytes can unpack to any size, and parsers of
such formats may loop. A process can be limited and killed.

Standard input is the file. Arguments: its name, the size and the overlap of passages. Standard output is JSON:
{"text", "chunks": [[start, end], …]} or {"error": {"code", "message"}}.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from typing import Any

from oxillama.vector_stores.extraction.chunks import count_tokens, cut
from oxillama.vector_stores.extraction.errors import UnreadableError
from oxillama.vector_stores.extraction.formats import MOST_TEXT, text_of

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 120
MOST_TOKENS = 5_000_000
"""Of one file; the hosted API's limit too."""


def limit() -> None:
    """Bound what this process can take: memory, processor time, and no new files."""
    _bound(resource.RLIMIT_AS, MEMORY_BYTES)
    _bound(resource.RLIMIT_CPU, CPU_SECONDS)
    _bound(resource.RLIMIT_FSIZE, 0)
    _bound(resource.RLIMIT_CORE, 0)
    os.nice(10)  # what is generated meanwhile goes first


def _bound(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS has no limit of the address space
        resource.setrlimit(kind, (value, value))


def read(name: str, size: int, overlap: int) -> dict[str, Any]:
    """The reply for the file on standard input."""
    try:
        text = text_of(name, sys.stdin.buffer)
        text = text.encode("utf-8", "replace").decode()  # lone surrogates
        if len(text) > MOST_TEXT or count_tokens(text) > MOST_TOKENS:
            raise UnreadableError("invalid_file", f"The file has more than {MOST_TOKENS} tokens.")
        chunks = cut(text, size, overlap)
        if not chunks:
            raise UnreadableError("invalid_file", "The file has no text.")
    except UnreadableError as error:
        return {"error": {"code": error.code, "message": str(error)}}
    except MemoryError:
        message = "Reading the file takes more memory than is allowed."
        return {"error": {"code": "invalid_file", "message": message}}
    except RecursionError:
        return {"error": {"code": "invalid_file", "message": "The file is nested too deeply."}}
    return {"text": text, "chunks": chunks}


def main() -> None:
    """Read the file on standard input and write the reply."""
    limit()
    reply = read(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.buffer.write(json.dumps(reply, ensure_ascii=False).encode())
    sys.stdout.buffer.flush()
