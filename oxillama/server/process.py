"""Running the application as a process: the HTTP server, the engine beside it, signals and shutdown."""

from __future__ import annotations

import contextlib
import resource
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio
from hypercorn.trio.run import worker_serve
from hypercorn.utils import wrap_app

from oxillama.concurrency import open_nursery
from oxillama.server.backend import running
from oxillama.server.config import ServerConfig, load_config
from oxillama.server.create import create_app
from oxillama.server.http import transport
from oxillama.server.http.listen import listen
from oxillama.server.observe.log import hypercorn_logger, process_logging
from oxillama.server.state import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypercorn.config import Config, Sockets

    from oxillama.engine.api.config import Progress
    from oxillama.server.application import Application

@dataclass(frozen=True, slots=True)
class Ready:
    """Facts about the server when it is ready. As text it is the server's URL."""

    url: str
    model_id: str
    """The model's id in the API."""
    data_dir: str | None
    """The data directory; None: there is none."""
    has_keys: bool
    """Whether clients need a key."""
    has_ui: bool
    """Whether there is a page for browsers at `url`."""

    @property
    def base_url(self) -> str:
        """The base URL for clients of the API."""
        return f"{self.url}/v1"

    def __str__(self) -> str:
        return self.url


GRACE = 2.0  # seconds after the drain to send error events, before the remaining connections are cut


async def serve(
    config: ServerConfig | None = None,
    *,
    on_ready: Callable[[Ready], None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; a second signal ends the drain.

    The socket listens from the start and answers 503 while the model loads. on_ready: called when the model is loaded.
    progress: called from another thread with the share that is loaded, 0 to 1. Other output of the process to stderr,
    such as warnings, goes to the server's log.

    Raises OSError when the address cannot be bound, and what loading the model raises.
    """
    config = load_config() if config is None else config
    app = create_app(config, opens_backend=False)
    _allow_many_files()
    stop, hurry = trio.Event(), trio.Event()
    with process_logging(app.state.log):
        async with open_nursery() as nursery:
            await nursery.start(_watch_signals, stop, hurry)
            try:
                await run_app(app, stop=stop, hurry=hurry, on_ready=on_ready, progress=progress)
            finally:
                nursery.cancel_scope.cancel()


async def run_app(
    app: Application,
    *,
    stop: trio.Event,
    hurry: trio.Event | None = None,
    on_ready: Callable[[Ready], None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve `app` until `stop` is set, then drain; `hurry` ends the drain. See `serve` for the rest.

    The sockets listen until the drain is over, so that new clients get a 503 with Retry-After.
    """
    config = app.state.config
    hyper = transport.configuration(
        keep_alive=config.keep_alive_timeout, write_timeout=config.write_timeout, grace=GRACE
    )
    hyper.logger_class = hypercorn_logger(app.state.log)
    sockets = listen(hyper, config.host, config.port)
    drained, done = trio.Event(), trio.Event()
    async with open_nursery() as nursery:
        url: str = await nursery.start(_serve_http, app, hyper, sockets, drained, done)
        try:
            async with running(app.state, progress=_until(stop, progress)):
                if not stop.is_set() and on_ready is not None:
                    on_ready(_ready(app, url))
                await stop.wait()
                await _drain(app, trio.Event() if hurry is None else hurry)
                drained.set()
                await done.wait()
        except LoadingStoppedError:
            drained.set()
            await done.wait()


def _ready(app: Application, url: str) -> Ready:
    state = app.state
    data_dir = None if state.data is None else state.data.path
    return Ready(url, state.model_id, data_dir, has_keys=bool(state.config.api_keys), has_ui=state.config.ui)


class LoadingStoppedError(Exception):
    """Raised to stop the server before its model is loaded."""


def _until(stop: trio.Event, progress: Progress | None) -> Progress:
    """`progress`, which also aborts loading once `stop` is set. Called from the loading thread."""

    def check(share: float) -> None:
        if stop.is_set():
            raise LoadingStoppedError
        if progress is not None:
            progress(share)

    return check


def _allow_many_files() -> None:
    """Raise the limit of open files to its maximum: the usual limit is far lower, for programs that use select()."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems report a limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve_http(
    app: Application,
    hyper: Config,
    sockets: Sockets,
    drained: trio.Event,
    done: trio.Event,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    wrapped = wrap_app(app, hyper.wsgi_max_body_size, "asgi")
    async with trio.open_nursery() as nursery:
        urls = await nursery.start(
            lambda task_status: worker_serve(
                wrapped, hyper, sockets=sockets, shutdown_trigger=drained.wait, task_status=task_status
            )
        )
        task_status.started(urls[0])
    done.set()


async def _drain(app: Application, hurry: trio.Event) -> None:
    """Take no more work, and let requests in progress finish within the limit. The rest end with an error.

    Requests that arrive during the drain are answered with 503 and not waited for.
    """
    state = app.state
    state.phase = Phase.DRAINING
    requests = tuple(state.under_way)
    state.log.info("draining", requests=len(requests), limit_s=state.config.drain_timeout)
    if state.assistants is not None:
        state.assistants.stop()

    async def end_early() -> None:
        await hurry.wait()
        patience.cancel()

    async with trio.open_nursery() as nursery:
        with trio.move_on_after(state.config.drain_timeout) as patience:
            nursery.start_soon(end_early)
            if state.engine is not None:
                await state.engine.drain()
            for request in requests:
                await request.ended.wait()
        nursery.cancel_scope.cancel()
    if patience.cancelled_caught and state.engine is not None:
        await state.engine.drain(0)
    state.log.info("drained", cut_off=len(state.under_way.intersection(requests)))


async def _watch_signals(
    stop: trio.Event, hurry: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                hurry.set()
            stop.set()
