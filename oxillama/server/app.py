"""The application: routes, and what happens around every request (ids, keys, origins, errors, a log line)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from quart import Request, Response, current_app, request
from quart_trio import QuartTrio
from werkzeug.exceptions import MethodNotAllowed

from oxillama.errors import EngineBusyError, StoreError
from oxillama.server.access.auth import OPEN_ENDPOINTS, Keyring
from oxillama.server.access.cors import CORS
from oxillama.server.apis import BLUEPRINTS
from oxillama.server.config import ServerConfig, load_config
from oxillama.server.http import transport
from oxillama.server.http.asgi import HTTPConnection, ServerRequest
from oxillama.server.http.lifespan import EngineLifespan
from oxillama.server.observe.log import make_logger
from oxillama.server.site import routes as pages
from oxillama.server.state import Phase, ServerState
from oxillama.server.wire.errors import APIError, api_error, server_fault
from oxillama.server.wire.json import error_response

if TYPE_CHECKING:
    from quart.typing import ResponseReturnValue

    from oxillama.engine.api.protocol import EngineLike
    from oxillama.server.site.pages import Page


QUIET_PATHS = frozenset({"/health", "/metrics"})
"""What machines ask for again and again: told at debug. (`/metrics` is no route here; scrapers ask all the same.)"""


GENERATING = frozenset({"/v1/chat/completions", "/v1/completions"})
"""Where a POST needs one of the engine's slots before it is answered."""


class Application(QuartTrio):
    """Quart-Trio with the server's state, and its own way through a request."""

    request_class = ServerRequest
    asgi_http_class = HTTPConnection
    asgi_lifespan_class = EngineLifespan

    state: ServerState
    keyring: Keyring
    cors: CORS
    owns_engine: bool
    description: Page | None = None  # of the API; made when it is first asked for

    def early_refusal(self, request: ServerRequest) -> Response | None:
        """The answer to a request that the engine has no room for; None: it goes its usual way.

        Called before anything is spent on the request: those who come when the server is busiest must not make it
        busier, and its body need not even have arrived.
        """
        state = self.state
        generates = request.method == "POST" and request.path in GENERATING
        if not generates or state.engine is None or state.phase is not Phase.READY:
            return None
        try:
            _check_lengths(request)
            self.keyring.check(request.headers.get("Authorization"))
            state.admission.check_room(state.engine)
        except EngineBusyError as error:
            return self.finish(request, error_response(api_error(error) or server_fault()))
        except APIError:
            pass  # refused for another reason: the usual way finds it again and says so
        return None

    def finish(self, request: ServerRequest, response: Response) -> Response:
        """What every answer carries, and its log line."""
        elapsed = (time.perf_counter() - request.began) * 1000
        response.headers["x-request-id"] = request.id
        response.headers["openai-processing-ms"] = str(round(elapsed))
        for name, value in self.cors.headers(request.headers).items():
            response.headers.setdefault(name, value)
        # Probes come every few seconds for as long as the server lives, and would bury what people asked for; a page is
        # told of once, not for each of its files.
        is_quiet = request.path in QUIET_PATHS or request.path.startswith("/ui/")
        say = self.state.log.debug if is_quiet else self.state.log.info
        say(
            "request",
            id=request.id,
            method=request.method,
            path=request.path[:200],
            status=response.status_code,
            ms=round(elapsed, 1),
            client=request.remote_addr,
        )
        return response

    def log_exception(self, exception_info: Any) -> None:
        self.state.log.error("request failed", exc_info=exception_info)


def create_app(
    config: ServerConfig | None = None, *, engine: EngineLike | None = None, owns_engine: bool = True
) -> Application:
    """The application. Without `config` it is read from `oxillama.toml` and `OXILLAMA_*` variables.

    engine: one that is open already and stays its owner's. Without it, the application opens the model in its own
    lifespan, as any ASGI server needs it; `serve` passes owns_engine=False and opens it beside the server, where a
    failure ends the program.
    """
    config = load_config() if config is None else config
    transport.install()
    app = Application("oxillama.server", static_folder=None)
    app.state = ServerState(config, make_logger(config))
    app.keyring = Keyring(config.api_keys)
    app.cors = CORS(config.cors_origins)
    app.owns_engine = owns_engine and engine is None
    if engine is not None:
        app.state.attach(engine)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body
    app.config["BODY_TIMEOUT"] = config.body_timeout
    # Redirects would be HTML, and `//` or a trailing slash no reason for one.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.before_request(_before)
    app.after_request(_after)
    app.register_error_handler(Exception, _error)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    if config.ui:
        app.register_blueprint(pages.blueprint)
    return app


def _current() -> Application:
    return cast("Application", current_app)


def _check_lengths(request: Request) -> None:
    if "Transfer-Encoding" in request.headers and "Content-Length" in request.headers:
        # Two lengths: whatever follows may have been smuggled past a proxy (RFC 9112, 6.1), so the connection ends too.
        message = "A request must not have both Content-Length and Transfer-Encoding."
        raise APIError(400, message, headers={"Connection": "close"})


def _endpoint(app: Application, request: Request) -> str | None:
    """What the path leads to, even if by another method; None: nothing."""
    refused = request.routing_exception
    adapter = app.create_url_adapter(request)
    if not isinstance(refused, MethodNotAllowed) or not refused.valid_methods or adapter is None:
        return request.endpoint
    endpoint, _ = adapter.match(method=next(iter(refused.valid_methods)))
    return str(endpoint)


async def _before() -> ResponseReturnValue | None:
    app = _current()
    _check_lengths(request)
    if request.method == "OPTIONS":
        return Response("", 204, headers=app.cors.headers(request.headers, preflight=True), content_type=None)
    if _endpoint(app, request) not in OPEN_ENDPOINTS:
        app.keyring.check(request.headers.get("Authorization"))
    return None


async def _after(response: Response) -> Response:
    return _current().finish(cast("ServerRequest", request), response)


async def _error(error: Exception) -> Response:
    told = api_error(error, method=request.method[:40], path=request.path[:200])
    if told is None:
        _current().state.log.error("request failed", id=cast("ServerRequest", request).id, exc_info=error)
    elif isinstance(error, StoreError):  # the client is not told where
        _current().state.log.error("store failed", id=cast("ServerRequest", request).id, error=str(error))
    return error_response(told or server_fault())
