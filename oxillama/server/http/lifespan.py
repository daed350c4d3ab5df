"""The engine in the lifespan of an application that is run by any ASGI server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from quart_trio.asgi import TrioASGILifespan

from oxillama.server.resources import running

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, LifespanStartupFailedEvent

    from oxillama.server.app import Application


class EngineLifespan(TrioASGILifespan):
    """Opens the model at start-up and closes it at shutdown, unless the application's owner does.

    Both happen in this one task, so what is opened around the serving is a plain `async with`. Should the engine fail
    later, this task ends with its error and every request is answered with 503.
    """

    app: Application

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if not self.app.owns_engine:
            await super().__call__(receive, send)
            return
        started = False
        try:
            async with trio.open_nursery() as self.app.nursery:
                await receive()  # start-up
                async with running(self.app.state):
                    await self.app.startup()
                    started = True
                    await send({"type": "lifespan.startup.complete"})
                    await receive()  # shutdown
                    await self.app.shutdown()
        except Exception as error:
            if started:
                raise
            self.app.state.log.error("cannot start", error=str(error))
            failed: LifespanStartupFailedEvent = {"type": "lifespan.startup.failed", "message": str(error)}
            await send(failed)
        else:
            await send({"type": "lifespan.shutdown.complete"})
