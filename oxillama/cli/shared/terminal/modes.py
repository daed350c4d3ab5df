"""How the terminal treats what is typed: changed for a while, and afterwards as it was."""

from __future__ import annotations

import os
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Attributes = list[Any]  # as termios.tcgetattr gives them
LOCAL, CHARACTERS = 3, 6


@contextmanager
def changed(fd: int, *changes: Callable[[int, Attributes], None]) -> Iterator[None]:
    """The terminal `fd` with its attributes changed until the block is left."""
    before, during = termios.tcgetattr(fd), termios.tcgetattr(fd)
    for change in changes:
        change(fd, during)
    termios.tcsetattr(fd, termios.TCSANOW, during)
    try:
        yield
    finally:
        with suppress(termios.error):  # of a terminal that has gone
            termios.tcsetattr(fd, termios.TCSANOW, before)


def echo_off(_fd: int, attributes: Attributes) -> None:
    """Do not show what is typed."""
    attributes[LOCAL] &= ~termios.ECHO


def echo_on(_fd: int, attributes: Attributes) -> None:
    """Show what is typed."""
    attributes[LOCAL] |= termios.ECHO


def end_off(fd: int, attributes: Attributes) -> None:
    """Take Ctrl-D for a character like any other."""
    attributes[CHARACTERS][termios.VEOF] = bytes([os.fpathconf(fd, "PC_VDISABLE") & 0xFF])
