"""Running the application: the sockets, the HTTP server, the engine beside it, and the way down."""

from __future__ import annotations

import contextlib
import resource
import signal
from typing import TYPE_CHECKING

import trio
from hypercorn.config import Config, Sockets
from hypercorn.trio.run import worker_serve
from hypercorn.utils import wrap_app

from oxillama.concurrency import open_nursery
from oxillama.server.app import Application, create_app
from oxillama.server.config import ServerConfig, load_config
from oxillama.server.http import transport
from oxillama.server.observe.log import hypercorn_logger
from oxillama.server.resources import running
from oxillama.server.state import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.engine.loading import Progress

ACCEPTS = 8  # clients taken in at once
GRACE = 2.0  # seconds after the drain for error events to go out, before what is left is cut


async def serve(
    config: ServerConfig | None = None,
    *,
    on_ready: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; a second signal ends the drain.

    The socket listens from the start and answers 503 while the model loads; `on_ready` is called with the URL when it
    has. progress: called from another thread with the share loaded, 0 to 1.

    Raises OSError when the address cannot be bound, and what loading the model raises.
    """
    config = load_config() if config is None else config
    app = create_app(config, owns_engine=False)
    _allow_many_files()
    stop, hurry = trio.Event(), trio.Event()
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
    on_ready: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve `app` until `stop` is set, and drain; `hurry` ends the drain. For the rest see `serve`."""
    config = app.state.config
    hyper = _hypercorn_config(app)
    sockets = listen(hyper, config)
    done = trio.Event()
    async with open_nursery() as nursery:
        url: str = await nursery.start(_serve_http, app, hyper, sockets, stop, done)
        try:
            async with running(app.state, progress=_until(stop, progress)):
                if not stop.is_set() and on_ready is not None:
                    on_ready(url)
                await stop.wait()
                await _drain(app, trio.Event() if hurry is None else hurry)
                await done.wait()
        except LoadingStoppedError:
            await done.wait()


class LoadingStoppedError(Exception):
    """The server was told to stop before its model was loaded."""


def _until(stop: trio.Event, progress: Progress | None) -> Progress:
    """`progress`, which also ends the loading once `stop` is set. Called from the thread that loads."""

    def check(share: float) -> None:
        if stop.is_set():
            raise LoadingStoppedError
        if progress is not None:
            progress(share)

    return check


def _allow_many_files() -> None:
    """Let the process have as many sockets as it may: the usual limit is a fraction of that, for select()'s sake."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems name a limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def listen(hyper: Config, config: ServerConfig) -> Sockets:
    """The listening socket. Raises OSError that names the address."""
    try:
        sockets = hyper.create_sockets()
        for sock in sockets.insecure_sockets:
            sock.listen(hyper.backlog)
        # A listener accepts one client each time round the event loop: several of them keep a burst of clients from
        # standing in line while the loop is busy.
        sockets.insecure_sockets += [sock.dup() for sock in sockets.insecure_sockets for _ in range(ACCEPTS - 1)]
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {config.host} port {config.port}: {error.strerror}") from None
    return sockets


def _hypercorn_config(app: Application) -> Config:
    config = app.state.config
    hyper = transport.limits(
        keep_alive=config.keep_alive_timeout,
        write_timeout=config.write_timeout,
        grace=config.drain_timeout + GRACE,
    )
    host = f"[{config.host}]" if ":" in config.host else config.host
    hyper.bind = [f"{host}:{config.port}"]
    hyper.logger_class = hypercorn_logger(app.state.log)
    return hyper


async def _serve_http(
    app: Application,
    hyper: Config,
    sockets: Sockets,
    stop: trio.Event,
    done: trio.Event,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    wrapped = wrap_app(app, hyper.wsgi_max_body_size, "asgi")
    async with trio.open_nursery() as nursery:
        urls = await nursery.start(
            lambda task_status: worker_serve(
                wrapped, hyper, sockets=sockets, shutdown_trigger=stop.wait, task_status=task_status
            )
        )
        task_status.started(urls[0])
    done.set()


async def _drain(app: Application, hurry: trio.Event) -> None:
    """Take no more work, and let what is under way finish within the limit; the rest ends with an error."""
    state = app.state
    state.phase = Phase.DRAINING
    if state.assistants is not None:
        state.assistants.stop()
    if state.engine is None:
        return

    async def end_early(scope: trio.CancelScope) -> None:
        await hurry.wait()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as patience:
            nursery.start_soon(end_early, patience)
            await state.engine.drain(state.config.drain_timeout)
        nursery.cancel_scope.cancel()
    if patience.cancelled_caught:
        await state.engine.drain(0)


async def _watch_signals(
    stop: trio.Event, hurry: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                hurry.set()
            stop.set()
