"""One HTTP request from ASGI to the application and back. Each request owns what it opens.

Quart-Trio's own connection class is not used. It cancels hypercorn in the middle of closing a socket, so that
"Connection: close" is never honoured; it cuts streams after RESPONSE_TIMEOUT; and its methods change with each version.
Of Quart this file needs a Request's constructor, `handle_request` and a Response's body.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

import trio
from quart_trio.wrappers import TrioRequest
from werkzeug.datastructures import Headers

from oxillama.server.http.body import RequestBody
from oxillama.server.observe.record import RequestRecord
from oxillama.server.wire.errors import server_fault
from oxillama.server.wire.json import error_response, new_request_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hypercorn.typing import HTTPScope
    from quart import Response

    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[None]]


HELD = 2**20  # bytes of a file that wait to be written


class ServerRequest(TrioRequest):
    """A request that owns the resources of its answer.

    A handler that returns a stream enters what the stream reads from in `stack`. `stack` is closed when the last byte
    of the answer is sent, or the request ends for any other reason. `ended` is set after that.
    """

    body_class = cast("Any", RequestBody)
    stack: AsyncExitStack

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.id = new_request_id()
        self.record = RequestRecord()
        self.ended = trio.Event()


class Handler(Protocol):
    """What a connection needs from the application."""

    config: Any

    def file_limit(self, method: str, path: str) -> int | None:
        """The largest body of a request that sends a file; None if it sends none."""

    def admit(self, request: ServerRequest) -> Response | None:
        """Note that the request has arrived. Returns its answer if that does not need the body, else None."""

    async def handle_request(self, request: ServerRequest) -> Response:
        """The answer."""

    def release(self, request: ServerRequest) -> None:
        """Note that the request has ended, for any reason. Called once per request."""

    def log_fault(self, error: BaseException, request: ServerRequest) -> None:
        """Log a bug."""


class HTTPConnection:
    """One request: a nursery with one task that notices when the client leaves and one that answers."""

    def __init__(self, app: Any, scope: HTTPScope) -> None:
        self._app: Handler = app
        self._scope = scope
        self._ending = False

    async def __call__(self, receive: Receive, send: Send) -> None:
        request = self._request()
        try:
            refusal = self._app.admit(request)
            if refusal is not None:
                await self._answer(request, refusal, send)
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hear, nursery, request, receive)
                await self._serve(request, send)
                nursery.cancel_scope.cancel()
        finally:
            self._app.release(request)
            request.ended.set()

    async def _hear(self, nursery: trio.Nursery, request: ServerRequest, receive: Receive) -> None:
        """Receive the body, then wait until the client leaves."""
        body = cast("RequestBody", request.body)
        while True:
            message = await receive()
            if message["type"] == "http.request":
                body.append(message.get("body", b""))
                await body.room()
                if not message.get("more_body", False):
                    body.set_complete()
            elif message["type"] == "http.disconnect":
                break
        # hypercorn also sends this after a complete answer and then closes the socket, which must not be cancelled.
        if not self._ending:
            nursery.cancel_scope.cancel()

    async def _serve(self, request: ServerRequest, send: Send) -> None:
        async with AsyncExitStack() as request.stack:
            try:
                response = await self._app.handle_request(request)
            except Exception as error:  # even the application's error handler failed
                self._app.log_fault(error, request)
                response = error_response(server_fault())
            cast("RequestBody", request.body).drop()
            await self._answer(request, response, send)

    async def _answer(self, request: ServerRequest, response: Response, send: Send) -> None:
        """Send the whole answer. The transport bounds each write."""
        status = request.record.status = response.status_code
        headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        async with response.response as parts:
            async for data in parts:
                body = data.encode() if isinstance(data, str) else data
                await send({"type": "http.response.body", "body": body, "more_body": True})
        self._ending = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        request.record.is_whole = True

    def _request(self) -> ServerRequest:
        """The request of an ASGI scope."""
        scope = self._scope
        headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
        client = scope.get("client")
        headers["Remote-Addr"] = client[0] if client else "<local>"  # werkzeug reads `remote_addr` here
        root = scope.get("root_path", "")
        path = _origin_path(scope["path"]).removeprefix(root) or "/"
        limit = self._app.file_limit(scope["method"], path)
        request = ServerRequest(
            scope["method"],
            scope["scheme"],
            path,
            scope["query_string"],
            headers,
            root,
            scope["http_version"],
            max_content_length=self._app.config["MAX_CONTENT_LENGTH"] if limit is None else limit,
            body_timeout=self._app.config["BODY_TIMEOUT"],
            send_push_promise=_no_push,
            scope=scope,
        )
        if limit is not None:
            cast("RequestBody", request.body).stream(HELD)
        return request


async def _no_push(path: str, headers: Headers) -> None:
    """Server push needs HTTP/2, which this server does not speak."""


def _origin_path(path: str) -> str:
    """The path in a request line, even if that is empty or malformed."""
    if path.startswith("/"):
        return path
    try:
        return urlsplit(path).path or "/"
    except ValueError:
        return "/"
