"""An answer in text for a terminal, or for a program."""

from __future__ import annotations

import json
from collections.abc import Callable

from oxillama.cli.shared.terminal.visible import visible
from oxillama.cli.shared.terminal.wrap import Wrapper

_DIM, _NOT_DIM = "\x1b[2m", "\x1b[22m"


class TerminalAnswer:
    """Wraps lines between words, makes reasoning dim, and writes each call of a tool on a line of its own.

    Methods return the text that can be shown now.
    """

    def __init__(self) -> None:
        self._wrapper = Wrapper()
        self._part = ""
        self._line_open = False

    def write(self, piece: str) -> str:
        """A piece of the answer's text."""
        return self._begin("text") + self._noted(self._wrapper.feed(visible(piece)))

    def think(self, piece: str) -> str:
        """A piece of the reasoning."""
        return self._begin("thought") + self._noted(self._wrapper.feed(visible(piece)))

    def call(self, name: str, arguments: str) -> str:
        """A whole call."""
        gap = self._begin("")
        self._part = "call"
        return gap + self._noted(visible(f"→ {name} {arguments}\n"))

    def finish(self) -> str:
        """The end of the answer: what was held back."""
        shown = self._noted(self._wrapper.finish())
        self._wrapper = Wrapper()
        return shown

    def _begin(self, part: str) -> str:
        """What stands between two parts of an answer, such as its reasoning and its text: a blank line."""
        if part == self._part:
            return ""
        begun, rest = bool(self._part), self.finish()
        self._part = part
        gap = "\n" * self._line_open + ("\n" if part else "")
        self._line_open = False
        return rest + gap if begun else rest

    def _noted(self, text: str) -> str:
        if text:
            self._line_open = not text.endswith("\n")
        return f"{_DIM}{text}{_NOT_DIM}" if text and self._part == "thought" else text

    @property
    def last(self) -> str:
        """What ends the last line, so that the shell's prompt begins one."""
        return "\n" if self._line_open or not self._part else ""


class PlainAnswer:
    """The text unchanged, each call of a tool as a line of JSON, and no reasoning."""

    def __init__(self) -> None:
        self._line_open = False

    def write(self, piece: str) -> str:
        if piece:
            self._line_open = not piece.endswith("\n")
        return piece

    def think(self, piece: str) -> str:
        return ""

    def call(self, name: str, arguments: str) -> str:
        gap, self._line_open = "\n" * self._line_open, False
        return gap + json.dumps({"name": name, "arguments": arguments_of(arguments)}, ensure_ascii=False) + "\n"

    def finish(self) -> str:
        return ""

    @property
    def last(self) -> str:
        return ""  # a pipe gets only the text


class Shown:
    """Shows a completion: the texts that an answer makes of it go to `show`."""

    def __init__(self, answer: TerminalAnswer | PlainAnswer, show: Callable[[str], None]) -> None:
        self._answer = answer
        self._show = show

    def write(self, piece: str) -> None:
        self._show(self._answer.write(piece))

    def think(self, piece: str) -> None:
        self._show(self._answer.think(piece))

    def call(self, name: str, arguments: str) -> None:
        self._show(self._answer.call(name, arguments))


def arguments_of(text: str) -> object:
    """A call's arguments as an object; as text if the call was cut off."""
    try:
        return json.loads(text)
    except ValueError:
        return text
