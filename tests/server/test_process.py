"""The server as a separate process with a real (tiny) model: start, signals, the `hypercorn` command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from oxillama.errors import EngineClosedError
from oxillama.server import Ready, ServerConfig, create_app, serve
from oxillama.server.process import run_app
from tests.support.live_server import PATIENCE, RawClient, get, post
from tests.support.tiny_models import tiny_model

START = 60  # seconds for an interpreter and a tiny model on a busy machine
PROGRAM = """
import sys, trio
from functools import partial
from oxillama.server import load_config, serve
trio.run(partial(serve, load_config(**eval(sys.argv[1])), on_ready=lambda url: print(url, flush=True)))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", vocab="spm")


@pytest.fixture
def settings(model: Path, tmp_path: Path) -> dict[str, Any]:
    return {"model": str(model), "port": 0, "threads": 1, "data_dir": str(tmp_path), "log_level": "error"}


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        with process:  # its pipes, too
            process.kill()


async def start(processes: list[subprocess.Popen[str]], command: list[str], **env: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env
    )  # fmt: skip
    processes.append(process)
    return process


async def line(process: subprocess.Popen[str], *, of: str = "stdout") -> str:
    with trio.fail_after(START):
        return str(await trio.to_thread.run_sync(getattr(process, of).readline)).strip()


async def exit_status(process: subprocess.Popen[str]) -> int:
    return await trio.to_thread.run_sync(lambda: process.wait(timeout=30))


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[RawClient]:
    async with RawClient(await trio.open_tcp_stream("127.0.0.1", port)) as client:
        yield client


def never_ready(ready: Ready) -> None:
    pytest.fail(f"{ready} is ready")


def chat(**fields: Any) -> bytes:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "once upon a time"}], "ignore_eos": True}
    return post("/v1/chat/completions", body | fields)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_the_process_exits_with_status_0(
    settings: dict[str, Any], processes: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    settings |= {"drain_timeout": 0.5, "ctx_size": 100_000, "alias": "tiny"}
    process = await start(processes, [sys.executable, "-c", PROGRAM, repr(settings)])
    port = int((await line(process)).rsplit(":", 1)[1])
    async with connection(port) as short, connection(port) as endless:
        await short.send(chat(max_tokens=3))
        assert (await short.answer()).status == 200
        await endless.send(chat(stream=True))
        await endless.until(b'"content":"')
        process.send_signal(number)
        tail = await endless.until(b"0\r\n\r\n")
        assert b'data: {"error":' in tail or b"[DONE]" in tail
        assert await exit_status(process) == 0
    assert process.stdout is not None
    assert process.stdout.read() == ""


async def test_the_hypercorn_command_serves_the_same_application(
    settings: dict[str, Any], processes: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "oxillama.toml").write_text(
        "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items() if key != "port")
    )
    address = ["-b", "127.0.0.1:0", "oxillama.server:create_app()"]
    process = await start(
        processes, [sys.executable, "-m", "hypercorn", "-k", "trio", *address],
        OXILLAMA_CONFIG=str(tmp_path / "oxillama.toml"), OXILLAMA_ALIAS="tiny",
    )  # fmt: skip
    while "Running on" not in (said := await line(process, of="stderr")):
        assert process.poll() is None
    port = int(said.split("127.0.0.1:")[1].split()[0])
    async with connection(port) as client:
        await client.send(get("/health"))
        assert json.loads((await client.answer()).body) == {"status": "ok", "model": "tiny", "storage": "ok"}
        await client.send(chat(max_tokens=5, stream=True))
        assert (await client.answer()).body.endswith(b"data: [DONE]\n\n")
        await client.send(b"nonsense\r\n\r\n")
        (await client.answer()).error()  # this command gets the transport's fixes too
    process.send_signal(signal.SIGTERM)
    assert await exit_status(process) == 0


async def test_while_the_model_loads_the_socket_answers_503(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(ServerConfig(**settings), opens_backend=False)
    loading, stop = trio.Event(), trio.Event()

    @asynccontextmanager
    async def slowly(*_: Any, **__: Any) -> AsyncIterator[Any]:
        loading.set()
        await stop.wait()
        if stop.is_set():
            raise ValueError("the file is no model")
        yield

    monkeypatch.setattr("oxillama.engine.pool.Engine.open", slowly)
    ports: list[int] = []
    monkeypatch.setattr("oxillama.server.process.listen", _noting_the_port(ports))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_use_while_loading, loading, ports, stop)
        with pytest.raises(ValueError, match="the file is no model"):
            await run_app(app, stop=trio.Event())


async def _use_while_loading(loading: trio.Event, ports: list[int], stop: trio.Event) -> None:
    await loading.wait()
    async with connection(ports[0]) as client:
        await client.send(get("/health"))
        answer = await client.answer()
        assert answer.status == 503
        assert json.loads(answer.body)["status"] == "loading"
        await client.send(chat())
        answer = await client.answer()
        assert answer.status == 503
        assert "retry-after" in answer.headers
        answer.error()
    stop.set()


def _noting_the_port(ports: list[int]) -> Any:
    from oxillama.server.http.listen import listen

    def noting(*args: Any) -> Any:
        sockets = listen(*args)
        ports.append(sockets.insecure_sockets[0].getsockname()[1])
        return sockets

    return noting


async def test_a_stop_while_the_model_loads_ends_the_loading(settings: dict[str, Any]) -> None:
    stop = trio.Event()
    shares: list[float] = []

    def progress(share: float) -> None:
        shares.append(share)
        trio.from_thread.run_sync(stop.set)

    app = create_app(ServerConfig(**settings), opens_backend=False)
    with trio.fail_after(PATIENCE):
        await run_app(app, stop=stop, on_ready=never_ready, progress=progress)
    assert len(shares) == 1


async def test_a_failing_engine_ends_the_server_with_its_reason(settings: dict[str, Any]) -> None:
    app = create_app(ServerConfig(**settings), opens_backend=False)

    def break_it(ready: Ready) -> None:
        engine: Any = app.state.engine
        engine._stepper.step = lambda: 1 / 0
        engine._commands.put(("drop", None.__class__))

    with trio.fail_after(PATIENCE), pytest.raises(EngineClosedError, match="the engine has failed"):
        await run_app(app, stop=trio.Event(), on_ready=break_it)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # hypercorn's message
async def test_an_address_in_use_is_named(settings: dict[str, Any]) -> None:
    blocker = trio.socket.socket()
    await blocker.bind(("127.0.0.1", 0))
    blocker.listen(1)
    port = blocker.getsockname()[1]
    with blocker, pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}: "):
        await serve(ServerConfig(**settings | {"port": port}))


async def test_a_file_that_is_not_a_model_is_refused_before_the_server_is_ready(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    from oxillama.errors import ModelFormatError

    (tmp_path / "bad.gguf").write_bytes(b"nonsense" * 100)
    with pytest.raises(ModelFormatError, match=r"bad\.gguf"):
        await serve(ServerConfig(**settings | {"model": str(tmp_path / "bad.gguf")}), on_ready=never_ready)
