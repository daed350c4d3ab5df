"""Starts: a server answers its first request, and a failed start gives the cause in one line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from oxillama.server import ServerConfig, create_app
from oxillama.server.process import run_app
from tests.support.asgi_client import ASGIClient
from tests.support.cli import environment, oxillama
from tests.support.fake_engine import FakeEngine
from tests.support.live_server import PATIENCE, RawClient, get, live_server
from tests.support.server import READY_S, running
from tests.support.tiny_models import tiny_model

STARTS = 100
PROGRAM = """
import sys, trio
from functools import partial
from oxillama.server import load_config, serve
trio.run(partial(serve, load_config(**eval(sys.argv[1])), on_ready=lambda ready: print(ready, flush=True)))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", vocab="spm")


# The first request


@pytest.mark.slow
async def test_a_hundred_starts_each_answer_their_first_request() -> None:
    for _ in range(STARTS):
        async with live_server() as live:
            answer = await live.ask(get("/v1/models"))
            assert answer.status == 200
            assert json.loads(answer.body)["data"][0]["id"] == "fake-model"


async def test_requests_across_the_end_of_loading_are_each_refused_or_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = trio.Event()

    class Pool:
        @asynccontextmanager
        async def lease(self, name: str) -> AsyncIterator[FakeEngine]:
            await loaded.wait()
            yield FakeEngine()

    @asynccontextmanager
    async def open_pool(sources: Any) -> AsyncIterator[Pool]:
        yield Pool()

    monkeypatch.setattr("oxillama.engine.pool.EnginePool.open", open_pool)
    sockets: list[Any] = []
    monkeypatch.setattr("oxillama.server.process.listen", _noting(sockets))
    config = ServerConfig(model="none.gguf", port=0, data_dir=str(tmp_path), log_level="error")
    stop, statuses = trio.Event(), list[int]()

    async def ask_on(port: int) -> None:
        async with RawClient(await trio.open_tcp_stream("127.0.0.1", port)) as client:
            while not statuses or statuses[-1] != 200:
                await client.send(get("/v1/models"))
                answer = await client.answer()
                assert answer.status == 200 or answer.error()["type"] == "server_error"
                statuses.append(answer.status)
                if len(statuses) == 50:
                    loaded.set()
        stop.set()

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run_app(create_app(config, opens_backend=False), stop=stop))
            while not sockets:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(ask_on, sockets[0].getsockname()[1])
    assert statuses[:50] == [503] * 50
    assert statuses == sorted(statuses, reverse=True)


def _noting(sockets: list[Any]) -> Callable[..., Any]:
    from oxillama.server.http.listen import listen

    def noting(*arguments: Any) -> Any:
        found = listen(*arguments)
        sockets.extend(found.insecure_sockets)
        return found

    return noting


# The lifespan under any ASGI server


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[list[dict[str, Any]]]:
    """Start the application as an ASGI server does. Yields its lifespan messages so far."""
    to_app, receive = trio.open_memory_channel[dict[str, Any]](1)
    send, answers = trio.open_memory_channel[dict[str, Any]](10)
    said: list[dict[str, Any]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app, {"type": "lifespan"}, receive.receive, send.send)
        await to_app.send({"type": "lifespan.startup"})
        with trio.fail_after(PATIENCE):
            said.append(await answers.receive())
        yield said
        if said[0]["type"] == "lifespan.startup.complete":
            await to_app.send({"type": "lifespan.shutdown"})
            with trio.fail_after(PATIENCE):
                said.append(await answers.receive())


async def test_an_application_with_a_given_engine_opens_assistants(tmp_path: Path) -> None:
    app = create_app(ServerConfig(data_dir=str(tmp_path), log_level="error"), engine=FakeEngine())
    client = ASGIClient(app)
    async with lifespan(app) as said:
        assert (await client.post("/v1/threads", json={})).status_code == 200
        assert (await client.get("/health")).json()["storage"] == "ok"
    assert [message["type"] for message in said] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (await client.post("/v1/threads", json={})).status_code == 503


async def test_a_lifespan_that_fails_names_the_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for config, cause in (
        (ServerConfig(model=str(tmp_path / "none.gguf"), log_format="json"), "No such file or directory"),
        (ServerConfig(log_format="json"), "no model is named"),
    ):
        async with lifespan(create_app(config)) as said:
            assert said[0]["type"] == "lifespan.startup.failed"
            assert cause in said[0]["message"]
        (line,) = capsys.readouterr().err.splitlines()
        assert cause in json.loads(line)["error"]
    app = create_app(ServerConfig(data_dir=str(tmp_path / "file")), engine=FakeEngine())
    async with lifespan(app) as said:
        assert str(tmp_path / "file") in said[0]["message"]


async def test_the_cause_of_a_failed_start_is_not_chained_to_the_servers_own_error() -> None:
    """A server that raises when it is told of the failure prints its error with everything that led to it."""

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        raise ZeroDivisionError

    app: Any = create_app(ServerConfig())
    with pytest.raises(ZeroDivisionError) as caught:
        await app({"type": "lifespan"}, receive, send)
    assert caught.value.__context__ is None


def test_under_asyncio_a_start_fails_with_a_line_that_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    app: Any = create_app(ServerConfig(model="m.gguf", log_format="json"))
    asyncio.run(app({"type": "lifespan"}, receive, send))
    assert [message["type"] for message in said] == ["lifespan.startup.failed"]
    assert "hypercorn -k trio" in said[0]["message"]
    assert json.loads(capsys.readouterr().err)["error"] == said[0]["message"]


# The command


def failures(model: Path, tmp_path: Path) -> Iterator[tuple[list[str], str]]:
    """(arguments of a start that must fail, text in its error line)"""
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"nonsense" * 100)
    (tmp_path / "file").touch()
    works = ["--model", str(model)]
    yield ["--model", str(bad)], "bad.gguf"
    yield ["--model", str(tmp_path / "none.gguf")], "none.gguf"
    yield ["--model", str(tmp_path)], str(tmp_path)
    yield [*works, "--data-dir", str(tmp_path / "file")], str(tmp_path / "file")
    yield [*works, "--data-dir", "/proc/none"], "/proc/none"
    yield [*works, "--host", "192.0.2.1"], "cannot listen on 192.0.2.1 port 0"
    yield [*works, "--host", "no host"], "'no host' is not an address to listen on"
    yield [*works, "--host", "256.1.1.1"], "cannot listen on 256.1.1.1 port 0"


@pytest.mark.parametrize("number", range(8))
def test_a_failed_start_is_reported_in_one_line_with_the_cause(number: int, model: Path, tmp_path: Path) -> None:
    arguments, cause = list(failures(model, tmp_path))[number]
    done = oxillama("serve", "--port", "0", *arguments)
    assert done.returncode == 1
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("oxillama: ")
    assert cause in line


def test_with_json_the_error_of_a_failed_start_is_json(tmp_path: Path) -> None:
    done = oxillama("serve", "--port", "0", "--model", tmp_path / "none.gguf", OXILLAMA_LOG_FORMAT="json")
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert "none.gguf" in json.loads(line)["error"]


def test_a_port_in_use_is_named(model: Path) -> None:
    with socket.socket() as blocker:
        blocker.bind(("127.0.0.1", 0))
        blocker.listen()
        port = blocker.getsockname()[1]
        done = oxillama("serve", "--model", model, "--port", port)
    assert (done.returncode, done.stderr.decode()) == (
        1,
        f"oxillama: cannot listen on 127.0.0.1 port {port}: Address already in use\n",
    )


def test_the_ready_lines_have_the_settings_for_clients(model: Path, tmp_path: Path) -> None:
    with running(
        "--model", model, "--alias", "my-model", "--data-dir", tmp_path / "data", "--api-key", "k", log=tmp_path / "log"
    ) as server:
        assert server.process.stdout is not None
        lines = [server.process.stdout.readline().decode().split(maxsplit=1) for _ in range(5)]
        assert server.terminate() == 0
    assert lines == [
        ["chat", f"page  {server.url}/\n"],
        ["base_url", f"{server.url}/v1\n"],
        ["model", "my-model\n"],
        ["data", f"{tmp_path / 'data'}\n"],
        ["API", "keys   required\n"],
    ]


def test_with_json_every_line_on_stderr_is_json(model: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(
        "--model", model, "--data-dir", tmp_path / "data", log=log, OXILLAMA_LOG_FORMAT="json", OXILLAMA_COLOUR="red",
        PYTHONWARNINGS="always",
    ) as server:  # fmt: skip
        with urllib.request.urlopen(f"{server.url}/v1/models", timeout=READY_S) as answer:
            assert answer.status == 200
        assert server.terminate() == 0
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert {"ready", "request", "draining", "drained", "stopped"} <= set(events)


def test_with_json_the_notice_about_the_demonstration_model_is_json(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("--data-dir", tmp_path / "data", log=log, OXILLAMA_LOG_FORMAT="json") as server:
        assert server.terminate() == 0
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert "embedded demonstration model" in events[0]


# A log without a reader


@pytest.mark.parametrize("stderr", ["a full disk", "a pipe without a reader", "closed"])
@pytest.mark.parametrize("command", ["serve", "oxillama serve"])
def test_a_server_whose_log_cannot_be_written_still_answers_and_stops(
    model: Path, tmp_path: Path, command: str, stderr: str
) -> None:
    settings: dict[str, Any] = {"model": str(model), "data_dir": str(tmp_path / "data"), "port": 0, "threads": 1}
    if command == "serve":
        arguments = [sys.executable, "-c", PROGRAM, repr(settings)]
    else:
        arguments = [sys.executable, "-m", "oxillama", "serve", "--port", "0", "--model", str(model)]
        arguments += ["--data-dir", str(tmp_path / "data")]
    with _stream(stderr) as errors:
        process = subprocess.Popen(
            ["bash", "-c", 'exec "$@" 2>&-', "bash", *arguments] if errors is None else arguments,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(),
        )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().split()[-1]
        for path in ("/v1/models", "/health", "/v1/models"):
            with urllib.request.urlopen(url + path, timeout=READY_S) as answer:
                assert answer.status == 200
                assert json.load(answer)
        process.send_signal(signal.SIGTERM)
        assert process.wait(READY_S) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize("stdout", ["a full disk", "a pipe without a reader"])
def test_a_server_whose_ready_lines_cannot_be_written_serves(model: Path, tmp_path: Path, stdout: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "oxillama", "serve", "--port", str(port), "--model", str(model)]
    command += ["--data-dir", str(tmp_path / "data")]
    with _stream(stdout) as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, env=environment())
    try:
        assert process.stderr is not None
        assert b"ready" in process.stderr.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=READY_S) as answer:
            assert json.load(answer)
        process.send_signal(signal.SIGTERM)
        assert process.wait(READY_S) == 0
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


@contextmanager
def _stream(kind: str) -> Iterator[int | None]:
    """The write end of a stream of this kind, closed here when the block is left; None for one that is closed."""
    if kind == "closed":
        yield None
        return
    if kind == "a full disk":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, descriptor = os.pipe()
        os.close(reading)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
