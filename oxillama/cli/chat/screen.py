"""The interface of a chat screen, and the syntax that all screens share: messages of several lines."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

QUOTES = '"""'


class Screen(Protocol):
    """Reads messages and shows answers. Answers and the output of commands go to stdout, everything else to stderr."""

    interactive: bool
    """A person is typing: Ctrl-C stops an answer, not the program, and errors do not change the exit status."""

    def held(self) -> AbstractContextManager[None]:
        """Set up the terminal for a whole conversation, and restore it afterwards.

        Text that is typed during an answer is not shown in it. It waits for the next `read`.
        """

    async def read(self) -> str | None:
        """The next message; None at the end of the input. Raises KeyboardInterrupt for Ctrl-C."""

    def interrupt(self) -> None:
        """Make the current `read` raise KeyboardInterrupt, or else the next one."""

    def write(self, piece: str) -> None:
        """Show a piece of an answer."""

    def think(self, piece: str) -> None:
        """Show a piece of what the model thinks before it answers."""

    def call(self, name: str, arguments: str) -> None:
        """Show a call of a tool."""

    def end_answer(self) -> None: ...
    def say(self, text: str) -> None:
        """Show the output of a command."""

    def notice(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...


def is_open(text: str) -> bool:
    '''Whether `text` begins a block of lines (""") that has not ended yet.'''
    text = text.strip()
    return text.startswith(QUOTES) and (len(text) < 2 * len(QUOTES) or not text.endswith(QUOTES))


def unquoted(text: str) -> str:
    '''The message in `text`: a block without its """ and the line breaks next to them; other text unchanged.'''
    block = text.strip()
    if is_open(text) or not block.startswith(QUOTES):
        return text
    return block[len(QUOTES) : -len(QUOTES)].removeprefix("\n").removesuffix("\n")
