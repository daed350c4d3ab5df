"""A killed server has all acknowledged changes after a restart."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, start

HEADERS = {"Content-Type": "application/json", "OpenAI-Beta": "assistants=v2"}


def call(server: Server, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/v1{path}", data, HEADERS)
    with urllib.request.urlopen(request, timeout=30) as answer:
        result: dict[str, Any] = json.load(answer)
        return result


def write_until_killed(server: Server, acknowledged: dict[str, list[str]]) -> None:
    """Create threads and messages, noting each acknowledged one, until the server is gone."""
    try:
        while True:
            thread = call(server, "/threads", {})["id"]
            acknowledged[thread] = []
            for n in range(5):
                message = call(server, f"/threads/{thread}/messages", {"role": "user", "content": f"message {n}"})
                acknowledged[thread].append(message["id"])
    except (urllib.error.URLError, HTTPException, OSError):
        return  # killed during a request


def stored_messages(server: Server, thread: str) -> list[str]:
    return [m["id"] for m in call(server, f"/threads/{thread}/messages?order=asc&limit=100")["data"]]


@pytest.mark.parametrize("rounds", [3])
def test_every_acknowledged_thread_and_message_survives_sigkill(tiny_model: Path, tmp_path: Path, rounds: int) -> None:
    arguments = ("--model", tiny_model, "--data-dir", tmp_path / "data")
    acknowledged: dict[str, list[str]] = {}
    for round_ in range(rounds):
        server = start(*arguments, log=tmp_path / "log")
        try:
            writer = threading.Thread(target=write_until_killed, args=(server, acknowledged))
            before = len(acknowledged)
            writer.start()
            while len(acknowledged) == before and writer.is_alive():  # a busy machine may be slow
                time.sleep(0.01)
            writer.join(0.3 + 0.2 * round_)
        finally:
            server.kill()
        writer.join(30)
        assert not writer.is_alive()

    server = start(*arguments, log=tmp_path / "log")
    try:
        stored = {thread: stored_messages(server, thread) for thread in acknowledged}
        status = server.terminate()
    finally:
        server.kill()

    assert sum(map(len, acknowledged.values())) > rounds, "the server was too slow to be tested"
    for thread, messages in acknowledged.items():
        # One more may exist: it was written, but the server was killed before the response.
        assert stored[thread][: len(messages)] == messages
        assert len(stored[thread]) <= len(messages) + 1
    assert status == 0
