"""A client that calls an ASGI application in the same process. Unlike Quart-Trio's, it reads streams of any length.

client = ASGIClient(app)
response = await client.post("/v1/x", json={...})            # whole responses
async with client.stream("POST", "/v1/x", json={...}) as s:  # a response while it is sent; leaving disconnects
    chunk = await s.receive()
"""

from __future__ import annotations

import json as json_module
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class Headers(dict[str, str]):
    """Response headers; lookups ignore case. If a name occurs twice, the last value is kept."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


@dataclass
class Response:
    status_code: int = 0
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json_module.loads(self.body)


class Stream:
    """A response in progress. `response` has everything up to the part that `receive` returned last."""

    def __init__(self) -> None:
        self.response = Response()
        self.started = trio.Event()
        self._send, self._receive = trio.open_memory_channel[bytes](math.inf)

    async def receive(self) -> bytes:
        """The next part of the body; b"" at its end."""
        try:
            part = await self._receive.receive()
        except trio.EndOfChannel:
            return b""
        self.response.body += part
        return part

    async def on_message(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            self.response.status_code = message["status"]
            self.response.headers.update((k.decode().lower(), v.decode()) for k, v in message["headers"])
            self.started.set()
        elif message["type"] == "http.response.body":
            if message.get("body"):
                await self._send.send(bytes(message["body"]))
            if not message.get("more_body"):
                await self._send.aclose()


class ASGIClient:
    def __init__(self, app: Any) -> None:
        self._app = app

    async def get(self, path: str, **kwargs: Any) -> Response:
        return await self.request("GET", path, **kwargs)

    async def post(self, path: str, **kwargs: Any) -> Response:
        return await self.request("POST", path, **kwargs)

    async def request(self, method: str, path: str, **kwargs: Any) -> Response:
        async with self.stream(method, path, **kwargs) as stream:
            while await stream.receive():
                pass
        return stream.response

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Stream]:
        sent = dict(headers or {})
        if json is not None:
            body = json_module.dumps(json).encode()
            sent.setdefault("content-type", "application/json")
        sent.setdefault("content-length", str(len(body or b"")))
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode("utf-8", "replace"), "query_string": query.encode(), "root_path": "",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in sent.items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "extensions": {},
        }  # fmt: skip
        to_app, from_client = trio.open_memory_channel[dict[str, Any]](math.inf)
        to_app.send_nowait({"type": "http.request", "body": body or b"", "more_body": False})
        stream = Stream()

        async def call() -> None:
            await self._app(scope, from_client.receive, stream.on_message)
            stream._send.close()
            to_app.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            yield stream
            if not stream._send._closed:
                to_app.send_nowait({"type": "http.disconnect"})
