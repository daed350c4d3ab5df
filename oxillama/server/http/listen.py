"""The listening sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypercorn.config import Config, Sockets

ACCEPTS = 8  # clients accepted at once


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
