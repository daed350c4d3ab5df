"""Tests a server of the installed package. Run it with the interpreter of an environment that has only the package.

Makes a tiny model, starts the `oxillama` command beside the interpreter, asks for a chat over the socket, plain and
streamed, then for many of them at once, and ends the server with SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import oxillama

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("oxillama")
MANY = 200  # requests
AT_ONCE = 16


def post(url: str, body: dict[str, Any]) -> bytes:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def talk(url: str) -> str:
    """Check the first requests of a new user. Returns the model's name."""
    with urllib.request.urlopen(f"{url}/v1/models", timeout=10) as answer:
        model = json.load(answer)["data"][0]["id"]
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "temperature": 0}
    plain = json.loads(post(f"{url}/v1/chat/completions", body))
    assert plain["usage"]["completion_tokens"] == 8, plain
    events = post(f"{url}/v1/chat/completions", {**body, "stream": True}).decode().split("\n\n")
    pieces = [json.loads(e.removeprefix("data: ")) for e in events if e.startswith("data: {")]
    text = "".join(p["choices"][0]["delta"].get("content") or "" for p in pieces if p["choices"])
    assert text == plain["choices"][0]["message"]["content"], (text, plain)
    assert "data: [DONE]" in events
    with urllib.request.urlopen(f"{url}/", timeout=10) as answer:
        page = answer.read().decode()
    assert "ui/main.js" in page, page[:200]
    for name in ("main.js", "vendor/marked/marked.esm.js", "vendor/dompurify/purify.es.mjs"):
        urllib.request.urlopen(f"{url}/ui/{name}", timeout=10).close()
    print(f"{model} answered {text!r}, plain and streamed")
    return str(model)


def talk_a_lot(url: str, model: str) -> None:
    """Send requests of several kinds at once, and check that each is answered completely."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "temperature": 0}
    expected = json.loads(post(f"{url}/v1/chat/completions", body))["choices"][0]["message"]["content"]

    def one(number: int) -> None:
        if number % 4 == 0:
            with urllib.request.urlopen(f"{url}/v1/models", timeout=60) as answer:
                assert json.load(answer)["data"][0]["id"] == model
            return
        answer = post(f"{url}/v1/chat/completions", {**body, "stream": number % 2 == 0})
        if number % 2:
            assert json.loads(answer)["choices"][0]["message"]["content"] == expected, answer
        else:
            assert answer.endswith(b"data: [DONE]\n\n"), answer

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answered = sum(1 for _ in threads.map(one, range(MANY)))
    print(f"{answered} requests answered, {AT_ONCE} at once")


def main() -> None:
    installed = Path(oxillama.__file__)
    assert ROOT not in installed.parents or ".venv" in installed.parts, f"{installed} is the checkout, not the package"
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "tiny.gguf")
        subprocess.run(
            [sys.executable, ROOT / "benchmarks/make_model.py", model, "--shape", "tiny", "--type", "Q4_K_M"],
            check=True,
        )
        subprocess.run([COMMAND, "version"], check=True)
        subprocess.run([COMMAND, "info", "--model", model], check=True, stdout=subprocess.DEVNULL)
        said = subprocess.run(
            [COMMAND, "chat", "--model", model, "--max-tokens", "4"], input=b"hello\n", check=True, capture_output=True
        )
        assert said.stdout.endswith(b"\n"), "a chat through a pipe gave no answer"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OXILLAMA_")}
        server = subprocess.Popen(
            [COMMAND, "serve", "--model", model, "--port", "0", "--data-dir", Path(folder, "data")],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            url = next(word for word in line.split() if word.startswith("http")).rstrip("/")
            talk_a_lot(url, talk(url))
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0, "SIGTERM did not end the server cleanly"
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
