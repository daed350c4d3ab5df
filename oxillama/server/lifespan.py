"""The engine in the lifespan of an application that is run by any ASGI server."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from oxillama.concurrency import open_nursery
from oxillama.server.backend import running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trio

    from oxillama.server.state import ServerState

    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[None]]


class Opener(Protocol):
    """What the lifespan needs from the application."""

    state: ServerState
    opens_backend: bool
    nursery: trio.Nursery

    async def startup(self) -> None: ...
    async def shutdown(self) -> None: ...


class Lifespan:
    """Opens the model and the data directory at start-up and closes them at shutdown, unless `serve` does.

    Both happen in the same task, so a plain `async with` surrounds the serving. If the engine fails later, this task
    ends with its error, and every request is answered with 503.
    """

    def __init__(self, app: Any, scope: Any) -> None:
        self._app: Opener = app

    async def __call__(self, receive: Receive, send: Send) -> None:
        app = self._app
        started = False
        try:
            await receive()  # start-up
            backend = running(app.state) if app.opens_backend else nullcontext()
            async with backend, open_nursery() as app.nursery:
                await app.startup()
                started = True
                await send({"type": "lifespan.startup.complete"})
                await receive()  # shutdown
                await app.shutdown()
        except Exception as error:
            if started:
                raise
            app.state.log.error("cannot start", error=str(error) or type(error).__name__)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})
