"""The engine in the lifespan of an application that is run by any ASGI server."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import trio

from oxillama.concurrency import open_nursery, single
from oxillama.errors import OxillamaError, describe
from oxillama.server.backend import running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from oxillama.server.state import ServerState

    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[None]]


NEEDS_TRIO = "this application runs on trio: start it with `hypercorn -k trio` or `oxillama serve`"


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
        failure: str | None = None
        try:
            await receive()  # start-up
            if not trio.lowlevel.in_trio_run():
                raise OxillamaError(NEEDS_TRIO)
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
            failure = describe(single(error))
        if failure is None:
            await send({"type": "lifespan.shutdown.complete"})
            return
        app.state.log.error("cannot start", error=failure)
        # Not while the error is handled: servers that raise here would print its traceback too.
        await send({"type": "lifespan.startup.failed", "message": failure})
