"""Child processes that render chat templates: started when needed, kept warm, killed when they exceed their limits."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oxillama.errors import TemplateError
from oxillama.text.prompt_text import PromptText

if TYPE_CHECKING:
    from collections.abc import Mapping

CPU_SECONDS = 3.0
WALL_SECONDS = 10.0
OUTPUT_CHARS = 1 << 20
# How many templates are rendered at the same time at most; further calls wait.
PROCESSES = 4
_WORKER = Path(__file__).with_name("worker.py")
# Bytes of the reply per character. The reply is escaped JSON: at most twelve bytes for a character outside the BMP.
# The list of content spans adds the rest: about twenty bytes per span, and at most one span for every two characters.
_REPLY_BYTES = 24
# The environment variables that a child gets: where its libraries are, and the time zone.
_PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ", "SYSTEMROOT")


def _import_directories() -> list[str]:
    found: list[str] = []
    for name in ("jinja2", "markupsafe"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise TemplateError(f"Chat templates need the package {name}, which is not installed.")
        directory = str(Path(spec.origin).parent.parent)
        if directory not in found:
            found.append(directory)
    return found


class _LostError(Exception):
    """The child has ended, or did not reply in time."""


class _Process:
    """One child and the pipes to it."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_WORKER), *_import_directories()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            close_fds=True,
            cwd="/",
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            # In its own session, so that Ctrl-C in the terminal reaches only the parent, which then ends the child.
            start_new_session=True,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to, self._from = self._child.stdin.fileno(), self._child.stdout.fileno()
        for fd in (self._to, self._from):
            os.set_blocking(fd, False)

    def ask(self, request: bytes, max_reply: int, deadline: float) -> bytes:
        """Send a request and return the reply. After a _LostError, the child must not be used again."""
        self._write(len(request).to_bytes(4, "little") + request, deadline)
        size = int.from_bytes(self._read(4, deadline), "little")
        if size > max_reply:
            raise _LostError
        return self._read(size, deadline)

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(fd, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise _LostError

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._to, view) :]
            except BlockingIOError:
                self._wait(self._to, select.POLLOUT, deadline)
            except OSError:
                raise _LostError from None

    def _read(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                piece = os.read(self._from, min(size - len(data), 1 << 20))
            except BlockingIOError:
                self._wait(self._from, select.POLLIN, deadline)
                continue
            except OSError:
                raise _LostError from None
            if not piece:
                raise _LostError
            data += piece
        return bytes(data)

    def kill(self) -> int:
        """End the child and return its exit status (negative: the signal that ended it)."""
        # A child that is already ending gets a moment: its own exit status says why it ended.
        try:
            status = self._child.wait(0.05)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        return status

    def close(self) -> None:
        """End an idle child at once."""
        self._child.kill()
        self.kill()


def _why(status: int, deadline: float) -> str:
    if status == -signal.SIGPROF:
        return f"it took more than {CPU_SECONDS:g} s of processor time"
    if time.monotonic() >= deadline:
        return f"it took more than {WALL_SECONDS:g} s"
    return f"its process ended with status {status}"


def _close_all(idle: list[_Process]) -> None:
    while idle:
        idle.pop().close()


class TemplateProcesses:
    """A pool of child processes that render templates. Threads may share one pool; `close` ends the children."""

    def __init__(self) -> None:
        self._idle: list[_Process] = []
        self._slots = threading.BoundedSemaphore(PROCESSES)
        self._closer = weakref.finalize(self, _close_all, self._idle)

    def render(self, source: str, own: Mapping[str, str], context: Mapping[str, Any]) -> PromptText:
        """Render a template with JSON values.

        own: variables that count as the template's own text. context: variables whose strings are content; a PromptText
        marks which of its characters are content. Blocks while PROCESSES other renderings run, each of which takes
        WALL_SECONDS at most.

        Raises TemplateError if the template fails or exceeds its limits.
        """
        marker = secrets.token_hex(16)  # random, so that no key in the context can equal it

        def as_json(value: object) -> object:
            if isinstance(value, PromptText):
                return {marker: [value.text, value.content]}
            raise TypeError(f"{type(value).__name__} is not a JSON value")

        try:
            payload = json.dumps(context, default=as_json)
        except (TypeError, ValueError, RecursionError) as error:
            raise TemplateError(f"The chat template cannot be given these values: {error}") from None
        # The limit grows with the input, because a long conversation makes a long prompt.
        max_chars = OUTPUT_CHARS + 2 * len(payload)
        rest = {"source": source, "own": dict(own), "marker": marker, "cpu_s": CPU_SECONDS, "max_chars": max_chars}
        request = f'{json.dumps(rest)[:-1]}, "context": {payload}}}'.encode()
        if len(request) >= 1 << 32:
            raise TemplateError("The conversation is too long for a chat template.")
        with self._slots:
            reply = self._ask(request, _REPLY_BYTES * max_chars + 1024)
        if "text" in reply:
            return PromptText(reply["text"], tuple((start, end) for start, end in reply["content"]))
        raise TemplateError(f"The chat template failed: {reply['error']}.".replace("..", "."))

    def _ask(self, request: bytes, max_reply: int) -> dict[str, Any]:
        process = self._take()
        deadline = time.monotonic() + WALL_SECONDS
        try:
            reply: dict[str, Any] = json.loads(process.ask(request, max_reply, deadline))
        except _LostError:
            raise TemplateError(f"The chat template failed: {_why(process.kill(), deadline)}.") from None
        except BaseException:
            process.kill()
            raise
        if reply.get("fatal"):
            process.kill()
        else:
            self._idle.append(process)
        return reply

    def _take(self) -> _Process:
        try:
            return self._idle.pop()
        except IndexError:
            return _Process()

    def close(self) -> None:
        """End the idle children; a later `render` starts new ones."""
        _close_all(self._idle)
