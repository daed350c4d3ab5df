"""The application's type: the state of one server, and the steps around every request.

Before a route runs, keys, origins and lengths are checked. After it, the answer gets its id and CORS headers. When the
last byte is sent, the request is logged. `create` adds the routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import MethodNotAllowed

from oxillama.errors import EngineBusyError, StoreError
from oxillama.server.access.auth import Keyring
from oxillama.server.access.beta import check_version
from oxillama.server.access.client import client_address
from oxillama.server.access.cors import CORS
from oxillama.server.access.hosts import HostRule
from oxillama.server.http.asgi import HTTPConnection, ServerRequest
from oxillama.server.lifespan import Lifespan
from oxillama.server.observe.log import make_logger
from oxillama.server.state import Phase, ServerState
from oxillama.server.wire.errors import APIError, api_error, server_fault
from oxillama.server.wire.json import error_response

if TYPE_CHECKING:
    from quart.typing import ResponseReturnValue

    from oxillama.server.config import ServerConfig


FORM = 2**20  # bytes of a form around its file


class Application(QuartTrio):
    """Quart-Trio with the server's state and with its own request handling."""

    request_class = ServerRequest
    asgi_http_class = HTTPConnection  # type: ignore[assignment]  # all that Quart asks of it is to be called
    asgi_lifespan_class = Lifespan  # type: ignore[assignment]  # as above

    def __init__(self, config: ServerConfig, *, opens_backend: bool = True) -> None:
        super().__init__("oxillama.server", static_folder=None)
        self.state = ServerState(config, make_logger(config))
        self.keyring = Keyring(config.api_keys)
        self.cors = CORS(config.cors_origins)
        self.hosts = HostRule(config.host, config.allowed_hosts, has_keys=bool(config.api_keys))
        self.opens_backend = opens_backend
        """Whether the engine and the data directory are opened in the application's own lifespan."""
        self.config["MAX_CONTENT_LENGTH"] = config.max_body
        self.config["BODY_TIMEOUT"] = config.body_timeout
        # No redirects for `//` or a trailing slash: their bodies would be HTML.
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False
        self.before_request(self._before)
        self.after_request(self._after)
        self.register_error_handler(Exception, self._on_error)

    # ---------------------------------------------------------------- what a connection asks for (http.asgi.Handler)

    def file_limit(self, method: str, path: str) -> int | None:
        """The largest body of a request that sends a file; None if it sends none."""
        state = self.state
        return state.config.max_file + FORM if state.operations.takes_files(method, path) else None

    def admit(self, request: ServerRequest) -> Response | None:
        """Register the request. Returns the refusal if the engine has no room for it, else None.

        Called before any work is done for the request and before its body has arrived, so that refusing requests
        costs a busy server little.
        """
        state = self.state
        state.under_way.add(request)
        operation = state.operations.at(request.method, request.path)
        if operation is None or not operation.generating or state.engine is None or state.phase is not Phase.READY:
            return None
        try:
            _check_lengths(request)
            self._check_host(request)
            self.keyring.check(request.headers.get("Authorization"))
            state.admission.check_room(state.engine)
        except EngineBusyError as error:
            return self._finish(request, self._refuse(request, error))
        except APIError:
            pass  # refused for another reason: the normal handling finds the error again and reports it
        return None

    def release(self, request: ServerRequest) -> None:
        """Unregister the request, and log it."""
        self.state.under_way.discard(request)
        record = request.record
        if not record.is_whole:
            record.abort = "client" if self.state.phase is Phase.READY else "server"
        # Health probes come every few seconds and would bury the requests of users. A page is logged once, not once for
        # each of its files.
        operations = self.state.operations
        operation = operations.named(request.endpoint) or operations.at(request.method, request.path)
        write = self.state.log.debug if operation is not None and operation.quiet else self.state.log.info
        if record.mismatches:
            write = self.state.log.warning
        trust_proxy = self.state.config.trust_proxy
        write(
            "request",
            id=request.id,
            method=request.method,
            path=request.path[:200],
            client=client_address(request.headers, request.remote_addr, trust_proxy=trust_proxy),
            **record.fields(),
        )
        if operation is not None:
            self.state.metrics.add(operation.endpoint, request.method, record)
        else:
            self.state.metrics.add("none", "none", record)

    def log_fault(self, error: BaseException, request: ServerRequest) -> None:
        """Log a bug, with its traceback."""
        self.state.log.error("request failed", id=request.id, exc_info=error)

    def log_exception(self, *details: Any) -> None:
        """Quart calls this. Its versions pass different arguments before the exception's details."""
        self.state.log.error("request failed", exc_info=details[-1])

    # ------------------------------------------------------------------------------------------- around every route

    async def _before(self) -> ResponseReturnValue | None:
        _check_lengths(request)
        self._check_host(request)
        if request.method == "OPTIONS":
            return Response("", 204, headers=self.cors.headers(request.headers, preflight=True), content_type=None)
        operation = self.state.operations.named(self._endpoint(request))
        if operation is None or not operation.open:
            self.keyring.check(request.headers.get("Authorization"))
        check_version(request.path, request.headers)
        return None

    async def _after(self, response: Response) -> Response:
        return self._finish(current_request(), response)

    async def _on_error(self, error: Exception) -> Response:
        asked = current_request()
        if isinstance(error, StoreError):  # the client must not see the path
            self.state.log.error("store failed", id=asked.id, error=str(error))
        return self._refuse(asked, error)

    def _refuse(self, asked: ServerRequest, error: Exception) -> Response:
        """The answer for an error, which is noted in the request's record. A bug is logged with its traceback."""
        shown = api_error(error, method=asked.method[:40], path=asked.path[:200])
        if shown is None:
            self.log_fault(error, asked)
            shown = server_fault()
        asked.record.failed(shown.code, shown.param)
        return error_response(shown)

    def _finish(self, asked: ServerRequest, response: Response) -> Response:
        """Add the headers that every answer has."""
        response.headers["x-request-id"] = asked.id
        if self.state.phase is Phase.DRAINING:
            response.headers["Connection"] = "close"  # later requests go to another server
        response.headers["openai-processing-ms"] = str(round(asked.record.elapsed_ms()))
        for name, value in self.cors.headers(asked.headers).items():
            response.headers.setdefault(name, value)
        return response

    def _check_host(self, asked: Any) -> None:
        server = asked.scope.get("server")
        self.hosts.check(asked.headers.get("Host"), server[0] if server else None)

    def _endpoint(self, asked: Any) -> str | None:
        """The operation at the path, even for another method; None if there is none."""
        refused = asked.routing_exception
        adapter = self.create_url_adapter(asked)
        if not isinstance(refused, MethodNotAllowed) or not refused.valid_methods or adapter is None:
            return cast("str | None", asked.endpoint)
        endpoint, _ = adapter.match(method=next(iter(refused.valid_methods)))
        return str(endpoint)


def current_request() -> ServerRequest:
    """The request that is being handled."""
    return cast("ServerRequest", request)


def _check_lengths(asked: Any) -> None:
    if "Transfer-Encoding" in asked.headers and "Content-Length" in asked.headers:
        # With two lengths, a request may be smuggled past a proxy (RFC 9112, 6.1), so the connection is closed too.
        message = "A request must not have both Content-Length and Transfer-Encoding."
        raise APIError(400, message, headers={"Connection": "close"})
