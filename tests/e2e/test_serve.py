"""oxillama serve for operators: settings, errors, the line with the URL, and the shutdown."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import oxillama
from tests.support.server import running


def get(url: str, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_options_override_variables_and_variables_override_the_file(tiny_model: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(f'model = "{tiny_model}"\nalias = "file"\napi_keys = ["one"]\nctx_size = 64\n')
    flags = (
        "--config",
        config,
        "--alias",
        "option",
        "--api-key",
        "k1",
        "--api-key",
        "k2",
        "--data-dir",
        tmp_path / "d",
        "--no-ui",
    )

    with running(*flags, log=tmp_path / "log", OXILLAMA_ALIAS="variable", OXILLAMA_CTX_SIZE="128") as server:
        answers = {key: get(f"{server.url}/v1/models", Authorization=f"Bearer {key}") for key in ("k1", "k2", "one")}
        without = get(f"{server.url}/v1/models")
        health = get(f"{server.url}/health")
        page = get(f"{server.url}/", Authorization="Bearer k1")

    assert [status for status, _ in answers.values()] == [200, 200, 401]
    assert without[0] == 401
    assert health[0] == 200
    assert page[0] == 404
    assert answers["k1"][1]["data"][0]["id"] == "option"


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["--model", "/nowhere.gguf", "--port", "0"], 1, b"/nowhere.gguf"),
        (["--config", "/nowhere.toml"], 1, b"/nowhere.toml"),
        (["--model", "x", "--port", "99999"], 1, b"port"),
        (["--model", "x", "--port", "0", "--api-key", "a b"], 1, b"API key"),
        (["--model", "x", "--parallel", "0"], 2, b"--parallel"),
    ],
    ids=["no such model", "no such settings", "port", "key", "parallel"],
)
def test_a_model_that_cannot_be_served_is_refused_at_once(
    flags: list[str], status: int, words: bytes, tmp_path: Path
) -> None:
    done = oxillama("serve", *flags, *(["--data-dir", str(tmp_path / "data")] if "--config" not in flags else []))

    assert done.returncode == status, done.stderr
    assert done.stdout == b""
    assert words in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_address_in_use_is_reported_in_one_line(tiny_model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = oxillama("serve", "--model", tiny_model, "--port", port, "--data-dir", tmp_path / "data")

    assert done.returncode == 1
    assert str(port).encode() in done.stderr
    assert b"Traceback" not in done.stderr


def test_sigterm_lets_an_answer_under_way_finish(tiny_model: Path, tmp_path: Path) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "max_tokens": 400, "stream": True}
    flags = ("--model", tiny_model, "--alias", "m", "--data-dir", tmp_path / "data", "--threads", "1")

    with running(*flags, log=tmp_path / "log") as server:
        request = urllib.request.Request(
            f"{server.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            first = answer.readline()
            server.process.terminate()
            rest = answer.read()
        status = server.process.wait(30)

    assert first.startswith(b"data: ")
    assert rest.endswith(b"data: [DONE]\n\n")
    assert b'"error"' not in rest
    assert status == 0
