"""The listening sockets."""

from __future__ import annotations

import errno
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypercorn.config import Config, Sockets

ACCEPTS = 8  # clients accepted at once
SILENCE = 60.0  # seconds between two lines about clients that cannot be accepted


def address(host: str, port: int) -> str:
    """The address as hypercorn and URLs write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen(hyper: Config, host: str, port: int) -> Sockets:
    """Sockets that listen on one address. Raises OSError that names it."""
    hyper.bind = [address(host, port)]
    try:
        sockets = hyper.create_sockets()
        for sock in sockets.insecure_sockets:
            sock.listen(hyper.backlog)
        # A listener accepts one client each time round the event loop: several of them keep a burst of clients from
        # standing in line while the loop is busy.
        sockets.insecure_sockets += [sock.dup() for sock in sockets.insecure_sockets for _ in range(ACCEPTS - 1)]
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from None
    return sockets


class AcceptFailures(logging.Filter):
    """Shortens what trio logs when a client cannot be accepted: a traceback, ten times a second for each listener."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._silent_until = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged: as one line, and the next one after SILENCE."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, OSError):
            return True
        now = self._clock()
        if now < self._silent_until:
            return False
        self._silent_until = now + SILENCE
        hint = "; raise the limit (ulimit -n)" if error.errno == errno.EMFILE else ""
        record.msg, record.args, record.exc_info = "new clients must wait: %s%s", (error.strerror, hint), None
        return True


_accept_failures = AcceptFailures()


def shorten_accept_failures() -> None:
    """Filter trio's messages in this process. Doing it twice does no harm."""
    logging.getLogger("trio.serve_listeners").addFilter(_accept_failures)
