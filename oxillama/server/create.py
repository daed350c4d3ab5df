"""The factory: an application with all of its routes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oxillama.server.apis import find_apis
from oxillama.server.application import Application
from oxillama.server.config import ServerConfig, load_config, unknown_variables
from oxillama.server.http import transport
from oxillama.server.site import routes as pages

if TYPE_CHECKING:
    from oxillama.engine.api.protocol import EngineLike


def create_app(
    config: ServerConfig | None = None, *, engine: EngineLike | None = None, opens_backend: bool = True
) -> Application:
    """The application. If `config` is None, it is read from `oxillama.toml` and `OXILLAMA_*` variables.

    engine: an open engine, which the caller closes; None: the application opens the model. opens_backend: whether the
    application's lifespan opens the engine and the data directory, as other ASGI servers need. `serve` passes False
    and opens them beside the server, so that a failure ends the program.
    """
    config = load_config() if config is None else config
    transport.install()
    app = Application(config, opens_backend=opens_backend)
    for name in unknown_variables(os.environ):
        app.state.log.warning("environment variable ignored: the server has no such setting", variable=name)
    if engine is not None:
        app.state.attach(engine)
    app.state.operations.register(app, find_apis())
    if config.ui:
        app.state.operations.register(app, [pages.api])
    return app
