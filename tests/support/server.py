"""A server started as a user would start it: in its own process, on a real socket."""

from __future__ import annotations

import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.support.cli import environment

READY_S = 60.0
STOP_S = 30.0


@dataclass
class Server:
    """A running `oxillama serve`; `url` has no path."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def terminate(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def kill(self) -> None:
        """Send SIGKILL: the process cannot flush anything."""
        self.process.kill()
        self.process.wait(STOP_S)
        self.close()

    def close(self) -> None:
        """Close the pipe of the process's output. Calling it twice is harmless."""
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(*arguments: str | Path, log: Path, executable: str = sys.executable, **env: str) -> Server:
    """Start `oxillama serve ARGUMENTS… --port 0` and wait for the line with its URL. stderr goes to `log`."""
    command = [executable, "-m", "oxillama", "serve", "--port", "0", *map(str, arguments)]
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment(**env))
    assert process.stdout is not None
    line = _first_line(process.stdout, time.monotonic() + READY_S)
    found = re.search(rb"http://[^\s/]+", line)
    if found is None:
        process.kill()
        status = process.wait()
        process.stdout.close()
        raise AssertionError(f"no URL in {line!r}, exit status {status}; stderr: {log.read_text()[-2000:]}")
    return Server(process, found.group().decode(), log)


def _first_line(stream: IO[bytes], deadline: float) -> bytes:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(max(0.0, deadline - time.monotonic())) else b""


@contextmanager
def running(*arguments: str | Path, log: Path, **env: str) -> Iterator[Server]:
    """Like `start`; kills the process when the block is left."""
    server = start(*arguments, log=log, **env)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
        server.close()
