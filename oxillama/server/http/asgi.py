"""Quart-Trio's request handling, with an owner for everything a request opens, and without two of its traps."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import trio
from quart.asgi import ASGIHTTPConnection
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers import TrioRequest

from oxillama.server.wire.json import new_request_id

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope
    from quart import Quart

    from oxillama.server.app import Application


class ServerRequest(TrioRequest):
    """A request that owns what is opened for its answer.

    `stack` is closed when the last byte of the answer is sent, or the request is given up for whatever reason: there a
    handler that returns a stream enters what the stream reads from.
    """

    stack: AsyncExitStack

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.id = new_request_id()
        self.began = time.perf_counter()


class HTTPConnection(TrioASGIHTTPConnection):
    """One request: a nursery with a task that hears of the client's leaving and one that answers.

    The base class cancels the answering task whenever the client is gone. hypercorn also says so after an answer is
    complete, and is then cancelled itself in the middle of closing the socket, so that "Connection: close" is never
    honoured. Here nothing is cancelled once the last part of the answer is on its way.
    """

    def __init__(self, app: Quart, scope: HTTPScope) -> None:
        path = _origin_path(scope["path"])
        super().__init__(app, scope if path == scope["path"] else {**scope, "path": path})
        self._ending = False

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = cast("ServerRequest", self._create_request_from_scope(send))
        refusal = cast("Application", self.app).early_refusal(request)
        if refusal is not None:
            await self._send_response(send, refusal)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.handle_messages, nursery, request, receive)
            nursery.start_soon(self.handle_request, nursery, request, send)

    async def handle_messages(  # type: ignore[override]  # as Quart-Trio itself overrides Quart
        self, nursery: trio.Nursery, request: ServerRequest, receive: ASGIReceiveCallable
    ) -> None:
        await ASGIHTTPConnection.handle_messages(self, request, receive)
        if not self._ending:
            nursery.cancel_scope.cancel()

    async def handle_request(  # type: ignore[override]  # as above
        self, nursery: trio.Nursery, request: ServerRequest, send: ASGISendCallable
    ) -> None:
        async def noting_the_end(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._ending = True
            await send(message)

        async with AsyncExitStack() as request.stack:
            response = await self.app.handle_request(request)
            # No RESPONSE_TIMEOUT here: it would cut a stream in silence. The transport bounds each write.
            await self._send_response(noting_the_end, response)
        nursery.cancel_scope.cancel()


def _origin_path(path: str) -> str:
    """The path of whatever stands in a request line, where the base class would fail on an empty or broken one."""
    if path.startswith("/"):
        return path
    try:
        return urlsplit(path).path or "/"
    except ValueError:
        return "/"
