"""Reads a file in a child process that may fail, run away or fill its memory without harm to the server."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import trio

from oxillama.concurrency import in_thread
from oxillama.vector_stores.extraction.child import CPU_SECONDS
from oxillama.vector_stores.extraction.errors import Code, UnreadableError
from oxillama.vector_stores.extraction.formats import MOST_TEXT

WALL_SECONDS = 600.0
_MOST_REPLY = 8 * MOST_TEXT  # bytes
_ROOT = str(Path(__file__).resolve().parents[3])
_START = "import sys; sys.path[:0] = sys.argv[4:]; from oxillama.vector_stores.extraction.child import main; main()"


@dataclass(frozen=True, slots=True)
class Extract:
    """A file's text, and the passages in it as (start, end)."""

    text: str
    chunks: list[tuple[int, int]]


class _Error(msgspec.Struct):
    code: Code
    message: str


class _Reply(msgspec.Struct):
    text: str = ""
    chunks: list[tuple[int, int]] = []
    error: _Error | None = None


def _import_directories() -> list[str]:
    spec = importlib.util.find_spec("pypdf")
    found = [_ROOT]
    if spec is not None and spec.origin is not None:
        found.append(str(Path(spec.origin).parents[1]))
    return list(dict.fromkeys(found))


async def extract(descriptor: int, name: str, size: int, overlap: int) -> Extract:
    """The text and the passages of a file. name: tells its format. size, overlap: of passages, in tokens.

    descriptor: to read the file from; it is closed. Raises UnreadableError. When it is cancelled, the child is killed.
    """
    command = [sys.executable, "-I", "-S", "-c", _START, name, str(size), str(overlap), *_import_directories()]
    try:
        process = await trio.lowlevel.open_process(
            command,
            stdin=descriptor,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ},
            start_new_session=True,  # Ctrl-C in the terminal reaches only the server
        )
    finally:
        os.close(descriptor)
    assert process.stdout is not None
    reply = bytearray()
    over = False
    try:
        with trio.move_on_after(WALL_SECONDS) as scope:
            async with process.stdout:
                async for data in process.stdout:
                    reply += data
                    if len(reply) > _MOST_REPLY:
                        over = True
                        break
            if not over:
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
    if scope.cancelled_caught:
        raise UnreadableError("invalid_file", f"Reading the file takes more than {WALL_SECONDS:.0f} seconds.")
    if over:
        raise UnreadableError("invalid_file", "The file has too much text.")
    return await in_thread(_read, reply, process.returncode)


def _read(reply: bytearray, status: int | None) -> Extract:
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        message = f"Reading the file takes more than {CPU_SECONDS} seconds of processor time, or too much memory."
        raise UnreadableError("invalid_file", message)
    try:
        found = msgspec.json.decode(reply, type=_Reply)
    except msgspec.DecodeError as error:
        message = f"The file could not be read: its reader ended with status {status}."
        raise UnreadableError("server_error", message) from error
    if found.error is not None:
        raise UnreadableError(found.error.code, found.error.message)
    return Extract(found.text, found.chunks)
