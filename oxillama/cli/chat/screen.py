"""The screen of a conversation, and the syntax that all screens share: blocks of several lines."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

QUOTES = '"""'


class Screen(Protocol):
    """Reads messages and shows answers. Answers and what commands print go to standard output, the rest to stderr."""

    interactive: bool
    """Somebody types: Ctrl-C stops an answer, not the program, and an error does not make the exit status."""

    def held(self) -> AbstractContextManager[None]:
        """Around a whole conversation: the terminal is as the screen needs it, and afterwards as it was.

        What is typed during an answer is then not shown in it, and waits for the next `read`.
        """

    async def read(self) -> str | None:
        """The next message; None at the end of the input. Raises KeyboardInterrupt for Ctrl-C."""

    def interrupt(self) -> None:
        """Make the `read` under way raise KeyboardInterrupt, or the next one."""

    def write(self, piece: str) -> None:
        """A piece of an answer."""

    def end_answer(self) -> None: ...
    def say(self, text: str) -> None:
        """What a command has to tell."""

    def notice(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...


def is_open(text: str) -> bool:
    '''Whether `text` begins a block of several lines (""") that has not ended yet.'''
    text = text.strip()
    return text.startswith(QUOTES) and (len(text) < 2 * len(QUOTES) or not text.endswith(QUOTES))


def unquoted(text: str) -> str:
    '''A message as it was meant: a block without its """ and the line ends beside them, anything else as it is.'''
    block = text.strip()
    if is_open(text) or not block.startswith(QUOTES):
        return text
    return block[len(QUOTES) : -len(QUOTES)].removeprefix("\n").removesuffix("\n")
