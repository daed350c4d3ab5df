"""A real server is killed again and again while clients answer the calls of its runs."""

from __future__ import annotations

import random
import threading
import time
import urllib.error
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_assistants_restart import call, wait_for
from tests.server.test_chat_tools import WEATHER
from tests.server.test_real_tools import CALLING, MARKS, TEMPLATE
from tests.support.scripted_model import scripted_model
from tests.support.server import start

if TYPE_CHECKING:
    from pathlib import Path

GONE = (urllib.error.URLError, HTTPException, OSError)
CLIENTS = 3


class Asking(threading.Thread):
    """A client that creates runs, answers their calls, and waits for their end, until the server is gone.

    runs: the runs that were acknowledged, as (thread, run). answered: those whose outputs were. asked: how often each
    was seen to wait for its client after that.
    """

    def __init__(self, url: str, assistant: str, runs: list[tuple[str, str]], answered: set[str]) -> None:
        super().__init__()
        self.url, self.assistant = url, assistant
        self.runs, self.answered = runs, answered
        self.asked_again: list[str] = []

    def run(self) -> None:
        try:
            while True:
                thread = {"messages": [{"role": "user", "content": "Is it warm in Rome?"}]}
                made = call(self.url, "/threads/runs", {"assistant_id": self.assistant, "thread": thread})
                self.runs.append((made["thread_id"], made["id"]))
                self.follow(made["thread_id"], made["id"])
        except GONE:
            return

    def follow(self, thread: str, run: str) -> Any:
        """Go on with a run until it ends. Returns it."""
        path = f"/threads/{thread}/runs/{run}"
        while True:
            found = call(self.url, path)
            if found["status"] == "requires_action":
                if run in self.answered:
                    self.asked_again.append(run)
                calls = found["required_action"]["submit_tool_outputs"]["tool_calls"]
                outputs = [{"tool_call_id": one["id"], "output": "warm"} for one in calls]
                call(self.url, f"{path}/submit_tool_outputs", {"tool_outputs": outputs})
                self.answered.add(run)
            elif found["status"] not in ("queued", "in_progress"):
                return found
            time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [4])
def test_runs_with_tools_of_a_killed_server_finish_once_and_ask_once(tmp_path: Path, rounds: int) -> None:
    marks: dict[str, Any] = {"control": ("<|im_start|>", "<|im_end|>"), "user_defined": MARKS, "end": "<|im_end|>"}
    model = scripted_model(tmp_path / "m.gguf", CALLING, vocab="bpe", chat_template=TEMPLATE, n_ctx=1024, **marks)
    arguments = ("--model", model, "--alias", "m", "--data-dir", tmp_path / "data", "--threads", "1")
    chance, assistant = random.Random(16), ""
    runs: list[tuple[str, str]] = []
    answered: set[str] = set()
    for _ in range(rounds):
        server = start(*arguments, log=tmp_path / "log")
        try:
            assistant = assistant or call(server.url, "/assistants", {"model": "m", "tools": [WEATHER]})["id"]
            wanted = len(runs) + CLIENTS
            clients = [Asking(server.url, assistant, runs, answered) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            wait_for(lambda least=wanted: len(runs) >= least)
            time.sleep(chance.uniform(0.0, 0.5))
        finally:
            server.kill()
        for client in clients:
            client.join()
            assert client.asked_again == []
    assert len(answered) > 0
    server = start(*arguments, log=tmp_path / "log")
    try:
        last = Asking(server.url, assistant, runs, answered)
        for thread, run in runs:
            ended = last.follow(thread, run)
            assert (ended["status"], ended["last_error"]) == ("completed", None)
            messages = call(server.url, f"/threads/{thread}/messages?order=asc")["data"]
            texts = [message["content"][0]["text"]["value"] for message in messages]
            assert texts == ["Is it warm in Rome?", "It is warm."]
            steps = call(server.url, f"/threads/{thread}/runs/{run}/steps?order=asc")["data"]
            assert [(step["type"], step["status"]) for step in steps] == [
                ("tool_calls", "completed"),
                ("message_creation", "completed"),
            ]
            assert [one["function"]["output"] for one in steps[0]["step_details"]["tool_calls"]] == ["warm"]
        assert last.asked_again == []
    finally:
        server.kill()
    assert "Traceback" not in (tmp_path / "log").read_text()
