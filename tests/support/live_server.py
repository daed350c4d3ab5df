"""A server on a real loopback socket in the test's nursery, and a raw client that sends exactly the given bytes."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import trio

from oxillama.server import Application, Ready, ServerConfig, create_app
from oxillama.server.process import run_app
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 60  # seconds that a test waits for the server before it fails; a busy machine may need most of them


@dataclass
class Live:
    """A running server."""

    port: int
    engine: Any
    stop: trio.Event
    hurry: trio.Event
    stopped: trio.Event

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> RawClient:
        return RawClient(await trio.open_tcp_stream("127.0.0.1", self.port))

    async def ask(self, data: bytes) -> RawAnswer:
        """Send `data` on a new connection, and return the response."""
        async with await self.connect() as client:
            await client.send(data)
            return await client.answer()

    async def is_healthy(self) -> bool:
        return (await self.ask(get("/health"))).status == 200


@asynccontextmanager
async def live_server(engine: Any = None, **settings: Any) -> AsyncIterator[Live]:
    """A server with `engine` (a scripted one by default), stopped when the block is left."""
    engine = engine or FakeEngine()
    defaults: dict[str, Any] = {"port": 0, "log_level": "error", "drain_timeout": 1.0}
    with TemporaryDirectory() as data_dir:
        config = ServerConfig(**(defaults | {"data_dir": data_dir} | settings))
        async with _serving(create_app(config, engine=engine, opens_backend=False), engine) as live:
            yield live


@asynccontextmanager
async def _serving(app: Application, engine: Any) -> AsyncIterator[Live]:
    live = Live(0, engine, trio.Event(), trio.Event(), trio.Event())
    ready = trio.Event()

    def on_ready(info: Ready) -> None:
        live.port = int(info.url.rsplit(":", 1)[1])
        ready.set()

    async def run() -> None:
        await run_app(app, stop=live.stop, hurry=live.hurry, on_ready=on_ready)
        live.stopped.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        with trio.fail_after(PATIENCE):
            await ready.wait()
        yield live
        live.stop.set()
        live.hurry.set()


@dataclass
class RawAnswer:
    """One HTTP/1.1 response as received."""

    status: int
    headers: dict[str, str]
    body: bytes

    def error(self) -> dict[str, Any]:
        """The error object of a response whose envelope is checked."""
        assert self.headers["content-type"] == "application/json"
        assert self.headers["x-request-id"].startswith("req_")
        found = json.loads(self.body)["error"]
        assert set(found) == {"message", "type", "param", "code"}
        return dict(found)


class RawClient:
    """A connection to the server. Reads fail after PATIENCE seconds instead of hanging."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def __aenter__(self) -> RawClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await trio.aclose_forcefully(self.stream)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def _more(self) -> bool:
        with trio.fail_after(PATIENCE):
            data = await self.stream.receive_some(65536)
        self._buffer += data
        return bool(data)

    async def until(self, mark: bytes) -> bytes:
        """Everything received up to and including `mark`."""
        while mark not in self._buffer:
            assert await self._more(), f"closed before {mark!r}: {self._buffer[-200:]!r}"
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark

    async def head(self) -> RawAnswer:
        """The status and headers of the next response."""
        lines = (await self.until(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        return RawAnswer(int(lines[0].split()[1]), headers, b"")

    async def answer(self) -> RawAnswer:
        """The next whole response."""
        answer = await self.head()
        if "content-length" in answer.headers:
            length = int(answer.headers["content-length"])
            while len(self._buffer) < length:
                assert await self._more()
            answer.body, self._buffer = self._buffer[:length], self._buffer[length:]
        elif answer.headers.get("transfer-encoding") == "chunked":
            while size := int((await self.until(b"\r\n")).strip(), 16):
                while len(self._buffer) < size + 2:
                    assert await self._more()
                answer.body += self._buffer[:size]
                self._buffer = self._buffer[size + 2 :]
            await self.until(b"\r\n")
        return answer

    async def is_closed(self) -> bool:
        """Whether the server closes the connection without sending anything more."""
        try:
            return not await self._more() and not self._buffer
        except trio.BrokenResourceError:
            return True


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *headers, "", ""]).encode()


def post(path: str, body: Any, *headers: str) -> bytes:
    """A POST of `body`: bytes unchanged, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"POST {path} HTTP/1.1", "Host: test", "Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*head, *headers, "", ""]).encode() + data


def chat(**fields: Any) -> bytes:
    """The bytes of a chat request."""
    body = {"model": "fake-model", "messages": [{"role": "user", "content": "Hi"}]} | fields
    return post("/v1/chat/completions", body)
