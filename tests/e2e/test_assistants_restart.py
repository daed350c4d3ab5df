"""A server that is killed during its runs, or stopped normally, and started again."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.server import running, start
from tests.support.tiny_models import tiny_model

if TYPE_CHECKING:
    from pathlib import Path

TERMINAL = ("completed", "incomplete", "failed", "expired", "cancelled")
PATIENCE_S = 60
N_THREADS = 6


def call(url: str, path: str, body: Any = None) -> Any:
    """The decoded answer to a GET, or to a POST of `body`. Raises HTTPError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/v1{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_runs_of_a_server_that_ends_are_ended_by_the_next_one(tmp_path: Path, way: str) -> None:
    model = tiny_model(tmp_path / "m.gguf", vocab="spm", n_layer=8, n_embd=256, n_ff=1024, n_ctx=512)
    arguments = ("--model", model, "--data-dir", tmp_path / "data", "--parallel", "2")
    with running(*arguments, log=tmp_path / "log") as server:
        name = call(server.url, "/models")["data"][0]["id"]
        assistant = call(server.url, "/assistants", {"model": name})["id"]
        runs = {}
        for n in range(N_THREADS):
            messages = [{"role": "user", "content": f"once upon a time {n}"}]
            run = call(server.url, "/threads/runs", {"assistant_id": assistant, "thread": {"messages": messages}})
            runs[run["thread_id"]] = run["id"]
        first = next(iter(runs.items()))
        wait_for(lambda: call(server.url, f"/threads/{first[0]}/runs/{first[1]}")["status"] != "queued")
        if way == "kill":
            server.kill()
        else:
            assert server.terminate() == 0

    with running(*arguments, log=tmp_path / "log") as server:
        for thread, run in runs.items():
            path = f"/threads/{thread}/runs/{run}"
            wait_for(lambda path=path: call(server.url, path)["status"] in TERMINAL)
            ended = call(server.url, path)
            assert ended["status"] in ("completed", "incomplete"), ended["last_error"]
            messages = call(server.url, f"/threads/{thread}/messages")["data"]
            assert [m["role"] for m in messages] == ["assistant", "user"]
            assert messages[1]["content"][0]["text"]["value"].startswith("once upon a time")
            steps = call(server.url, f"{path}/steps")["data"]
            assert [s["status"] for s in steps] == ["completed"]
            assert steps[0]["step_details"]["message_creation"]["message_id"] == messages[0]["id"]
            call(server.url, f"/threads/{thread}/messages", {"role": "user", "content": "and then?"})


def test_a_second_server_cannot_open_the_same_directory(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.gguf", vocab="spm")
    arguments = ("--model", model, "--data-dir", tmp_path / "data")
    with running(*arguments, log=tmp_path / "log"):
        with pytest.raises(AssertionError, match="in use by another oxillama server"):
            start(*arguments, log=tmp_path / "second.log")
        text = (tmp_path / "second.log").read_text()
        assert "Traceback" not in text
        assert len(text.strip().splitlines()) == 1
