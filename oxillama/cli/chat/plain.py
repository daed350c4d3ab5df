"""A screen of plain lines, for pipes and simple terminals."""

from __future__ import annotations

import os
import select
import sys
from contextlib import AbstractContextManager, nullcontext

import trio

from oxillama.cli.chat.screen import is_open, unquoted
from oxillama.cli.shared.guard import one_line
from oxillama.cli.shared.terminal.answer import PlainAnswer, TerminalAnswer
from oxillama.cli.shared.terminal.modes import changed, echo_off, echo_on
from oxillama.cli.shared.terminal.visible import visible
from oxillama.errors import OxillamaError


class PlainScreen:
    """Reads one message per line. A message between triple quotes may have several lines."""

    def __init__(self, fd: int = 0) -> None:
        self.interactive = os.isatty(fd)
        self._fd = fd
        self._unread = b""
        self._ended = False
        self._interrupted = False
        self._reading = trio.CancelScope()
        self._on_terminal = sys.stdout.isatty()
        self._answer = self._new_answer()
        self._line_open = False

    def _new_answer(self) -> TerminalAnswer | PlainAnswer:
        return TerminalAnswer() if self._on_terminal else PlainAnswer()

    def held(self) -> AbstractContextManager[None]:
        return changed(self._fd, echo_off) if self.interactive else nullcontext()

    async def read(self) -> str | None:
        with changed(self._fd, echo_on) if self.interactive else nullcontext():
            return await self._message()

    async def _message(self) -> str | None:
        lines: list[str] = []
        while True:
            self._prompt("… " if lines else "> ")
            is_ahead = self._is_typed_ahead()
            line = await self._line()
            if line is not None and is_ahead:
                self._prompt(f"{visible(line)}\n")  # the terminal did not echo it when it was typed
            if line is None:
                if lines:
                    raise OxillamaError('the text opened with """ is not closed')
                return None
            lines.append(line)
            text = "\n".join(lines)
            if not is_open(text):
                return unquoted(text)

    def interrupt(self) -> None:
        self._interrupted = True
        self._reading.cancel()

    def write(self, piece: str) -> None:
        self._show(self._answer.write(piece))

    def think(self, piece: str) -> None:
        self._show(self._answer.think(piece))

    def call(self, name: str, arguments: str) -> None:
        self._show(self._answer.call(name, arguments))

    def end_answer(self) -> None:
        self._show(self._answer.finish())
        self._answer = self._new_answer()
        if self._line_open:
            self._show("\n")

    def say(self, text: str) -> None:
        print(visible(text) if self._on_terminal else text, flush=True)

    def notice(self, text: str) -> None:
        print(f"oxillama: {one_line(text)}", file=sys.stderr, flush=True)

    error = notice

    def _prompt(self, text: str) -> None:
        if self.interactive:
            sys.stderr.write(text)
            sys.stderr.flush()

    def _show(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._line_open = not text.endswith("\n")

    def _is_typed_ahead(self) -> bool:
        """Whether a line was typed before its prompt appeared."""
        return self.interactive and (b"\n" in self._unread or bool(select.select([self._fd], [], [], 0)[0]))

    async def _line(self) -> str | None:
        """The next line without its line break; None at the end of the input. The last line may lack a line break."""
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
            if self._interrupted:  # between two reads
                self._reading.cancel()
            try:
                await trio.lowlevel.wait_readable(self._fd)
            except OSError:  # a regular file: always readable, but it cannot be polled
                await trio.lowlevel.checkpoint()
            return os.read(self._fd, 65536)
        self._interrupted = False
        raise KeyboardInterrupt  # `interrupt` has cancelled the scope
