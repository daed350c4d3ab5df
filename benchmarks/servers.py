"""Starts a server, ours or llama.cpp's, and sends it requests byte by byte."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peer
from ours import environment


def ours(model: Path, port: int, folder: Path, *, threads: int, ctx: int) -> list[str]:
    """Our command line, for a server whose model is called "m". folder: where it may keep data."""
    return [
        sys.executable, "-m", "oxillama", "serve", "--model", str(model), "--port", str(port),
        "--threads", str(threads), "--ctx-size", str(ctx), "--alias", "m", "--data-dir", str(folder / "data"),
    ]  # fmt: skip


def peers(model: Path, port: int, *, threads: int, ctx: int) -> list[str]:
    """llama-server's command line. ctx: tokens of all its slots together."""
    return [
        str(peer.program("llama-server")), "-m", str(model), "--port", str(port), "-t", str(threads), "-c", str(ctx),
    ]  # fmt: skip


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Run the server for the duration of the block, which begins when /health returns 200."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment())
        try:
            deadline = time.monotonic() + 120
            while health(port) != 200:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.2)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def status_of(port: int, request: bytes, patience: float = 30) -> int:
    """The response's status; 0 without a response."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
            connection.sendall(request)
            return int(connection.recv(4096).split(b" ", 2)[1])
    except (OSError, IndexError, ValueError):
        return 0


def health(port: int) -> int:
    return status_of(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")


def post(path: str, body: dict[str, Any]) -> bytes:
    """A POST that is alone on its connection, ready to send."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    ).encode()
    return head + data


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
