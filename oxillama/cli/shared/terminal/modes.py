"""Changes a terminal's input modes for a while, and restores them."""

from __future__ import annotations

import os
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Attributes = list[Any]  # as termios.tcgetattr returns them
LOCAL, CHARACTERS = 3, 6


@contextmanager
def changed(fd: int, *changes: Callable[[int, Attributes], None]) -> Iterator[None]:
    """Change the attributes of the terminal `fd`, and restore them when the block ends."""
    before, during = termios.tcgetattr(fd), termios.tcgetattr(fd)
    for change in changes:
        change(fd, during)
    termios.tcsetattr(fd, termios.TCSANOW, during)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(fd, termios.TCSANOW, before)


def echo_off(_fd: int, attributes: Attributes) -> None:
    """Turn echo of typed characters off."""
    attributes[LOCAL] &= ~termios.ECHO


def echo_on(_fd: int, attributes: Attributes) -> None:
    """Turn echo of typed characters on."""
    attributes[LOCAL] |= termios.ECHO


def end_off(fd: int, attributes: Attributes) -> None:
    """Make Ctrl-D an ordinary character."""
    attributes[CHARACTERS][termios.VEOF] = bytes([os.fpathconf(fd, "PC_VDISABLE") & 0xFF])
