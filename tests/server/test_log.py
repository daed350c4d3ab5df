"""The log has one line per request, and never its content."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.engine.api.embedding import Embedder
from oxillama.errors import EngineBusyError
from oxillama.server import ServerConfig, create_app
from oxillama.server.http.listen import AcceptFailures
from oxillama.server.observe.log import make_logger, process_logging
from tests.support.asgi_client import ASGIClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application
    from tests.support.fake_engine import FakeEngine


async def test_a_request_is_one_line_without_its_secrets(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    client = ASGIClient(make_app(log_level="info", log_format="json", api_keys=["sk-secret-key"]))
    headers = {"Authorization": "Bearer sk-secret-key"}
    body = {"model": "fake-model", "messages": [{"role": "user", "content": "private words"}]}
    response = await client.post("/v1/chat/completions?x=query", json=body, headers=headers)
    await client.get("/v1/models", headers={"Authorization": "Bearer sk-wrong-key"})
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert said.out == ""
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/v1/chat/completions", 200),
        ("GET", "/v1/models", 401),
    ]
    assert lines[0]["id"] == response.headers["x-request-id"]
    for secret in ("sk-secret-key", "sk-wrong-key", "private words", "query"):
        assert secret not in said.err


@pytest.mark.parametrize(
    ("level", "logged"),
    [("info", ["/", "/v1/models"]), ("debug", ["/health", "/metrics", "/ui/main.js", "/", "/v1/models"])],
)
async def test_probes_and_page_files_are_logged_only_at_debug(
    level: str, logged: list[str], make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    client = ASGIClient(make_app(log_level=level, log_format="json"))
    for path in ("/health", "/metrics", "/ui/main.js", "/", "/v1/models"):
        await client.get(path)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["path"] for line in lines] == logged


async def test_a_fault_is_logged_with_its_traceback_and_request(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app(log_format="json")

    @app.get("/broken")
    async def broken() -> str:
        raise ZeroDivisionError("the reason")

    response = await ASGIClient(app).get("/broken")
    line = json.loads(capsys.readouterr().err)
    assert line["id"] == response.headers["x-request-id"]
    assert "ZeroDivisionError: the reason" in line["exception"]


async def test_a_path_cannot_forge_a_log_line(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in ("/a\nb\x1b[31m", "/a\x1b]0;title\x07", "/\x9b31m", "/\x85\u2028", "/\u202e", "/\x00"):
        await ASGIClient(make_app(log_level="info")).get(path)
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert said.removesuffix("\n").isprintable()


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_generation_is_logged_with_its_tokens_and_finish_reasons(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str], engine: FakeEngine, stream: bool
) -> None:
    engine.reply, engine.delay_s = "Hello", 0.001
    client = ASGIClient(make_app(log_level="info", log_format="json"))
    await client.post("/v1/chat/completions", json=CHAT | {"stream": stream, "n": 2, "max_tokens": 3})
    (line,) = logged(capsys)
    prompt = len(engine.requests[0].prompt_ids)
    assert (line["prompt_tokens"], line["cached_tokens"], line["new_tokens"]) == (prompt, 0, 6)
    assert line["finish"] == "length,length"
    assert line["tokens_per_s"] > 0
    assert "abort" not in line


async def test_an_answer_with_calls_is_logged_as_the_client_sees_it(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str], engine: FakeEngine
) -> None:
    engine.reply = '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'
    client = ASGIClient(make_app(log_level="info", log_format="json"))
    tools = [{"type": "function", "function": {"name": "time"}}]
    await client.post("/v1/chat/completions", json=CHAT | {"tools": tools})
    (line,) = logged(capsys)
    assert line["finish"] == "tool_calls"


@pytest.mark.parametrize(
    ("path", "embedder", "body", "n_tokens"),
    [
        ("embeddings", Embedder(pooling="mean", width=8, max_tokens=16), {"input": ["abc", "d"]}, 6),
        ("rerank", Embedder(pooling="rank", width=1, max_tokens=16), {"query": "ab", "documents": ["c", "d"]}, 8),
    ],
)
async def test_vectors_and_scores_are_logged_with_the_tokens_read(
    make_app: Callable[..., Application],
    capsys: pytest.CaptureFixture[str],
    engine: FakeEngine,
    path: str,
    embedder: Embedder,
    body: dict[str, Any],
    n_tokens: int,
) -> None:
    engine.embedder = embedder
    client = ASGIClient(make_app(log_level="info", log_format="json"))
    await client.post(f"/v1/{path}", json={"model": "fake-model", **body})
    (line,) = logged(capsys)
    assert line["prompt_tokens"] == n_tokens
    assert "new_tokens" not in line


async def test_two_prompts_of_one_request_are_both_counted(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str], engine: FakeEngine
) -> None:
    body = {"model": "fake-model", "prompt": ["one", "three"], "n": 2, "max_tokens": 1}
    await ASGIClient(make_app(log_level="info", log_format="json")).post("/v1/completions", json=body)
    (line,) = logged(capsys)
    assert line["prompt_tokens"] == sum(len(engine.requests[at].prompt_ids) for at in (0, 2))
    assert line["new_tokens"] == 4


async def test_a_stream_is_logged_when_it_has_ended_and_not_before(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str], engine: FakeEngine
) -> None:
    engine.delay_s = 0.001
    client = ASGIClient(make_app(log_level="info", log_format="json"))
    async with client.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}) as stream:
        assert await stream.receive()
        assert logged(capsys) == []
        while await stream.receive():
            pass
    (line,) = logged(capsys)
    assert (line["status"], line["finish"]) == (200, "stop")


async def test_a_client_that_leaves_is_logged_as_such(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str], engine: FakeEngine
) -> None:
    engine.delay_s = 0.001
    client = ASGIClient(make_app(log_level="info", log_format="json"))
    async with client.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}) as stream:
        assert await stream.receive()
    (line,) = logged(capsys)
    assert (line["status"], line["abort"]) == (200, "client")
    assert "finish" not in line


async def test_an_error_is_logged_with_its_code_and_parameter(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    client = ASGIClient(make_app(log_level="info", log_format="json"))
    await client.post("/v1/chat/completions", json=CHAT | {"model": "none"})
    (line,) = logged(capsys)
    assert (line["status"], line["code"], line["param"]) == (404, "model_not_found", "model")


async def test_an_error_in_a_stream_is_logged_with_its_code(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str], engine: FakeEngine
) -> None:
    engine.fail_at, engine.error = 1, EngineBusyError("full")
    client = ASGIClient(make_app(log_level="info", log_format="json"))
    await client.post("/v1/chat/completions", json=CHAT | {"stream": True})
    (line,) = logged(capsys)
    assert (line["status"], line["code"]) == (200, "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("trust_proxy", "headers", "client"),
    [
        (False, {"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1"),
        (True, {"X-Forwarded-For": "6.6.6.6, 192.0.2.1"}, "192.0.2.1"),
        (True, {"Forwarded": 'for=6.6.6.6, for="[2001:db8::1]:4711";proto=https'}, "[2001:db8::1]:4711"),
        (True, {"Forwarded": "by=proxy"}, "127.0.0.1"),
        (True, {}, "127.0.0.1"),
    ],
)
async def test_the_clients_address_comes_from_a_trusted_proxy(
    make_app: Callable[..., Application],
    capsys: pytest.CaptureFixture[str],
    trust_proxy: bool,
    headers: dict[str, str],
    client: str,
) -> None:
    app = make_app(log_level="info", log_format="json", trust_proxy=trust_proxy)
    await ASGIClient(app).get("/v1/models", headers=headers)
    assert [line["client"] for line in logged(capsys)] == [client]


def test_other_messages_of_the_process_go_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    kept = logging.getLogger().handlers[:]
    with process_logging(make_logger(ServerConfig(log_format="json"))):
        logging.getLogger("oxillama.engine").warning("two\nlines of %s", "words")
        logging.getLogger("trio").error("broken %d", "x")
        try:
            raise ZeroDivisionError("by zero")
        except ZeroDivisionError:
            logging.getLogger("hypercorn").exception("failed")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    assert logging.getLogger().handlers == kept
    lines = logged(capsys)
    assert [line["event"] for line in lines[:3]] == ["two lines of words", "log record lost", "failed"]
    assert "ZeroDivisionError: by zero" in lines[2]["exception"]
    assert "DeprecationWarning: old" in lines[3]["event"]
    assert "ZeroDivisionError" in lines[4]["exception"]


class Gone(io.RawIOBase):
    """A stream whose reader is gone until `back` is set."""

    back = False

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if not self.back:
            raise BrokenPipeError(32, "Broken pipe")
        self.written += bytes(data)
        return len(data)


async def test_a_log_without_a_reader_fails_no_request_and_counts_lost_lines(
    make_app: Callable[..., Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(log_level="info", log_format="json")

    @app.get("/broken")
    async def broken() -> str:
        raise ZeroDivisionError("the reason")

    gone = Gone()
    unheard = io.TextIOWrapper(io.BufferedWriter(gone), write_through=True)
    monkeypatch.setattr("sys.stderr", unheard)
    client = ASGIClient(app)
    assert (await client.get("/v1/models")).status_code == 200
    assert (await client.get("/broken")).status_code == 500
    monkeypatch.setattr("sys.stderr", None)
    assert (await client.get("/v1/models")).status_code == 200

    gone.back = True
    unheard.close()
    raw = Gone()
    raw.back = True
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(io.BufferedWriter(raw), write_through=True))
    assert (await client.get("/v1/models")).status_code == 200
    assert (await client.get("/v1/models")).status_code == 200
    first, second = map(json.loads, raw.written.decode().splitlines())
    assert first["lost_lines"] == 4  # one line per request, and one for the bug
    assert "lost_lines" not in second


def test_a_log_that_would_block_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "w", encoding="utf-8") as writer:
        monkeypatch.setattr("sys.stderr", writer)
        log = make_logger(ServerConfig(log_format="json"))
        for number in range(2000):  # far more than fits into a pipe
            log.warning("line", number=number, filling="x" * 100)
        taken = reader.read1(1 << 20).splitlines()
        log.warning("line", number=2000)
        (last,) = reader.read1(1 << 20).splitlines()
    assert [json.loads(line)["number"] for line in taken] == list(range(len(taken)))
    assert json.loads(last)["lost_lines"] == 2000 - len(taken)


def test_a_line_that_was_cut_off_does_not_spoil_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback is longer than what a pipe takes at once."""
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "w", encoding="utf-8") as writer:
        monkeypatch.setattr("sys.stderr", writer)
        log = make_logger(ServerConfig(log_format="json"))
        log.warning("line", filling="x" * 2**20)  # more than a pipe holds
        cut = reader.read1(1 << 21)
        assert cut.startswith(b'{"filling": "xxx')
        for number in range(2):
            log.warning("line", number=number)
        rest, first, second = reader.read1(1 << 20).splitlines()
    assert rest == b""
    assert (json.loads(first)["number"], json.loads(first)["lost_lines"]) == (0, 1)
    assert json.loads(second)["number"] == 1


async def test_clients_that_cannot_be_accepted_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    failures = AcceptFailures(lambda: now[0])
    logger = logging.getLogger("trio.serve_listeners")
    monkeypatch.setattr(logger, "filters", [])
    logger.addFilter(failures)

    class Full(trio.abc.Listener[trio.SocketStream]):
        async def accept(self) -> trio.SocketStream:
            raise OSError(errno.EMFILE, "Too many open files")

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    async def handler(_: trio.SocketStream) -> None:
        raise AssertionError

    with process_logging(make_logger(ServerConfig(log_format="json"))):
        for now[0] in (1000.0, 1059.0, 1061.0):
            with trio.move_on_after(0.25):
                await trio.serve_listeners(handler, [Full(), Full()])
    lines = logged(capsys)
    said = "new clients must wait: Too many open files; raise the limit (ulimit -n)"
    assert [line["event"] for line in lines] == [said, said]
    assert all("exception" not in line for line in lines)


def test_an_application_shortens_what_is_said_about_clients_that_cannot_be_accepted() -> None:
    create_app(ServerConfig())
    create_app(ServerConfig())
    kinds = [type(found) for found in logging.getLogger("trio.serve_listeners").filters]
    assert kinds == [AcceptFailures]
