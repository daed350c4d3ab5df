"""Plain lines in, plain text out: for pipes, and for terminals without the means for more."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext

import trio

from oxillama.cli.chat.screen import is_open, unquoted
from oxillama.cli.shared.guard import one_line
from oxillama.cli.shared.visible import visible
from oxillama.errors import OxillamaError


class PlainScreen:
    """One line is one message; a block between triple quotes may have several."""

    def __init__(self, fd: int = 0) -> None:
        self.interactive = os.isatty(fd)
        self._fd = fd
        self._unread = b""
        self._ended = False
        self._reading = trio.CancelScope()
        self._safe = visible if sys.stdout.isatty() else str
        self._line_open = False

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def read(self) -> str | None:
        lines: list[str] = []
        while True:
            self._prompt("… " if lines else "> ")
            line = await self._line()
            if line is None:
                if lines:
                    raise OxillamaError('the text opened with """ is not closed')
                return None
            lines.append(line)
            text = "\n".join(lines)
            if not is_open(text):
                return unquoted(text)

    def interrupt(self) -> None:
        self._reading.cancel()

    def write(self, piece: str) -> None:
        sys.stdout.write(self._safe(piece))
        sys.stdout.flush()
        self._line_open = not piece.endswith("\n")

    def end_answer(self) -> None:
        if self._line_open:
            self.write("\n")

    def say(self, text: str) -> None:
        print(self._safe(text), flush=True)

    def notice(self, text: str) -> None:
        print(f"oxillama: {one_line(text)}", file=sys.stderr, flush=True)

    error = notice

    def _prompt(self, text: str) -> None:
        if self.interactive:
            sys.stderr.write(text)
            sys.stderr.flush()

    async def _line(self) -> str | None:
        """The next line without its end; None when there is none. A last line without an end counts."""
        while b"\n" not in self._unread and not self._ended:
            data = await self._more()
            self._unread += data
            self._ended = not data
        if not self._unread and self._ended:
            return None
        line, _, self._unread = self._unread.partition(b"\n")
        return line.removesuffix(b"\r").decode("utf-8", "replace")

    async def _more(self) -> bytes:
        with trio.CancelScope() as self._reading:
            try:
                await trio.lowlevel.wait_readable(self._fd)
            except OSError:  # a file: always readable, and nothing that a poll would take
                await trio.lowlevel.checkpoint()
            return os.read(self._fd, 65536)
        raise KeyboardInterrupt  # `interrupt` has ended the block
