"""The options of `oxillama serve`."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from oxillama.cli.app import app, main
from oxillama.server.config import ServerConfig
from tests.support.cli import environment
from tests.support.server import READY_S, STOP_S
from tests.support.tiny_models import tiny_model


def test_sampling_options_are_settings_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ServerConfig] = []

    async def serve(config: ServerConfig, **_: Any) -> None:
        seen.append(config)

    monkeypatch.setattr("oxillama.server.serve", serve)
    monkeypatch.setenv("OXILLAMA_TEMPERATURE", "0.4")
    monkeypatch.setenv("OXILLAMA_TOP_P", "0.5")
    monkeypatch.chdir(tmp_path)

    app(
        ["serve", "--model", str(tiny_model(tmp_path / "m.gguf")), "--temp", "0", "--top-k", "5"],
        standalone_mode=False,
    )

    [config] = seen
    assert (config.temperature, config.top_k, config.top_p, config.min_p) == (0.0, 5, 0.5, None)


@pytest.mark.parametrize("option", ["--model", "--data-dir", "--config", "--host"])
def test_an_empty_option_is_refused_by_its_name(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve(config: ServerConfig, **_: Any) -> None:
        """Return at once, where the option is taken."""

    monkeypatch.setattr("oxillama.server.serve", serve)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["oxillama", "serve", option, ""])
    with pytest.raises(SystemExit):
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert option.removeprefix("--") in line
    assert "empty" in line


def test_a_wrong_setting_is_a_line_of_json_where_the_log_is_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OXILLAMA_LOG_FORMAT", "json")
    monkeypatch.setenv("OXILLAMA_PORT", "x")
    monkeypatch.setattr("sys.argv", ["oxillama", "serve"])
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().err)["error"] == "OXILLAMA_PORT: expected a whole number, got 'x'"


def test_streams_that_nobody_reads_do_not_hold_up_the_server(tmp_path: Path) -> None:
    """The pipe is full from the start, as behind a supervisor that has stopped reading."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    command = [sys.executable, "-m", "oxillama", "serve", "--port", str(port), "--data-dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=writing, stderr=writing, env=environment())
    try:
        deadline = time.monotonic() + READY_S
        while not is_healthy(port):
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.05)
        server.terminate()
        assert server.wait(STOP_S) == 0
    finally:
        server.kill()
        server.wait()
        os.close(reading)
        os.close(writing)


def test_names_of_several_lines_are_announced_in_one_each(tmp_path: Path) -> None:
    """Scripts read the first line, and a terminal obeys control characters."""
    model = tiny_model(tmp_path / "a\n\x1b[31mb.gguf", vocab="spm")
    command = [sys.executable, "-m", "oxillama", "serve", "--model", str(model), "--port", "0", "--data-dir"]
    server = subprocess.Popen([*command, str(tmp_path / "data\n")], stdout=subprocess.PIPE, env=environment())
    try:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(6)]
    finally:
        server.kill()
        server.communicate()

    assert lines[0].startswith(b"oxillama serves a  [31mb.gguf at http://127.0.0.1:")
    assert [line.split()[0] for line in lines[1:]] == [b"chat", b"base_url", b"model", b"data", b"API"]


def is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
