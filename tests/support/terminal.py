"""Runs a program with a pseudo-terminal as its controlling terminal, so that keys such as Ctrl-C work."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.cli import environment

CTRL_C, CTRL_D, ENTER, ALT_ENTER, UP = b"\x03", b"\x04", b"\r", b"\x1b\r", b"\x1b[A"
_SEQUENCES = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[=>]|\r")


class Terminal:
    """A program on a terminal. seen: everything written to the terminal, including escape sequences."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process = process
        self.seen = b""
        self._fd = fd
        self._at = 0

    def type(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def expect(self, text: bytes, timeout: int = 30) -> bytes:
        """Wait for `text` after the text of the last call. Returns the text up to its end, without formatting."""
        while True:
            new = _SEQUENCES.sub(b"", self.seen)[self._at :]
            if text in new:
                end = new.index(text) + len(text)
                self._at += end
                return new[:end]
            if not self._read(timeout):
                raise AssertionError(f"{text!r} did not come; there was {new[-2000:]!r}")

    def end(self, timeout: int = 30) -> int:
        """Wait for the program's end, and return its exit status."""
        while self._read(timeout):
            pass
        return self.process.wait(timeout)

    def _read(self, timeout: int) -> bool:
        """Whether anything arrived within `timeout` seconds, not counting time in which the machine slept."""
        if not any(select.select([self._fd], [], [], 1)[0] for _ in range(timeout)):
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # on Linux: the other side is closed
            return False
        self.seen += data
        return bool(data)


@contextmanager
def on_terminal(*command: object, **env: str) -> Iterator[Terminal]:
    """Run `python COMMAND…` on a terminal of 100 columns. It is killed when the block is left."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))

    def own_the_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=own_the_terminal,
        env=environment(**{"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **env}),
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
