"""oxillama serve: the OpenAI API over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.guard import EXIT_FAILED, one_line, status_of
from oxillama.concurrency import leaves
from oxillama.errors import describe

if TYPE_CHECKING:
    from oxillama.server.process import Ready


@options.with_groups
def serve(
    model: options.Model = None,
    alias: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What the API calls the model.", show_default="the name in the file"),
    ] = None,
    model_alias: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another name of the model in requests, such as gpt-4o; may be given more than once.",
            show_default=False,
        ),
    ] = None,
    any_model: Annotated[
        bool | None, typer.Option("--any-model", help="Accept any model name in requests.", show_default=False)
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", help="Port to listen on; 0 picks a free one.", show_default="8000")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            parser=options.given_path,
            metavar="DIR",
            help="Where threads, messages, runs and files are kept.",
            show_default=False,
        ),
    ] = None,
    durability: Annotated[
        str | None,
        typer.Option(
            metavar="full|os",
            help="full: what is acknowledged survives a power cut. os: it survives a killed server; quicker.",
            show_default="full",
        ),
    ] = None,
    run_expiry: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS", min=1, help="How long a run may take once its work has begun.", show_default="600"
        ),
    ] = None,
    queue_runs: Annotated[
        bool | None,
        typer.Option(
            "--queue-runs",
            help="Let runs on a thread with an active run wait for their turn, instead of refusing them.",
            show_default=False,
        ),
    ] = None,
    api_key: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="A key for the API; may be given more than once.", show_default=False),
    ] = None,
    isolate_keys: Annotated[
        bool | None,
        typer.Option("--isolate-keys", help="Share computed prompts within a key only.", show_default=False),
    ] = None,
    threads: options.Threads = None,
    cpu_affinity: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Bind threads to processors, one each: 0-3,8.", show_default=False),
    ] = None,
    ctx_size: options.CtxSize = None,
    kv_type: Annotated[
        Literal["auto", "f32", "f16", "i16", "q8_0"] | None,
        typer.Option(metavar="TYPE", help="Type of the KV cache: auto, f32, f16, i16 or q8_0.", show_default="auto"),
    ] = None,
    pooling: options.PoolingKind = None,
    parallel: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=1024, help="Requests that run at once.", show_default="8")
    ] = None,
    *,
    sampling: options.SamplerOptions,
    ui: Annotated[
        bool | None,
        typer.Option("--ui/--no-ui", help="Serve the pages for browsers: the chat and /docs.", show_default="--ui"),
    ] = None,
    trust_proxy: Annotated[
        bool | None,
        typer.Option(
            "--trust-proxy",
            help="Log the client's address from the proxy's headers (Forwarded, X-Forwarded-For).",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            parser=options.given_path,
            metavar="FILE",
            help="Settings in TOML.",
            show_default="oxillama.toml, if it is there",
        ),
    ] = None,
) -> None:
    """Serve a model behind the OpenAI API.

    Prints the URL, and what clients need, when ready; SIGTERM finishes running requests. Settings come from the
    configuration file, then OXILLAMA_* variables, then these options.
    """
    from msgspec.structs import replace

    from oxillama.server.config import configured_log_format, load_config
    from oxillama.server.observe.sink import Sink

    def say(line: str) -> None:
        """Tell the user something without waiting for a reader of it."""
        Sink().write(f"oxillama: {line}\n")

    with failures_logged(configured_log_format(config)):
        settings = load_config(
            config,
            model=model,
            alias=alias,
            model_alias=model_alias or None,
            any_model=any_model,
            host=host,
            port=port,
            data_dir=data_dir,
            durability=durability,
            run_expiry=run_expiry,
            queue_runs=queue_runs,
            api_keys=api_key or None,
            isolate_keys=isolate_keys,
            threads=threads,
            cpu_affinity=cpu_affinity,
            ctx_size=ctx_size,
            kv_type=kv_type,
            pooling=pooling,
            parallel=parallel,
            ui=ui,
            trust_proxy=trust_proxy,
            **sampling.given(),
        )

    import trio

    from oxillama import server
    from oxillama.cli.shared.terminal.progress import load_progress
    from oxillama.server.observe.log import make_logger

    with failures_logged(settings.log_format), ExitStack() as loading:
        tell = make_logger(settings).info if settings.log_format == "json" else say
        path = options.model_or_embedded(Path(settings.model) if settings.model else None, "serve", tell)
        settings = replace(settings, model=str(path))
        progress = loading.enter_context(load_progress(path))

        def announce(ready: server.Ready) -> None:
            """Remove the progress bar, then print the line that scripts wait for and the settings for clients."""
            loading.close()
            # Nobody need be reading, and the server must not wait for a reader.
            Sink("stdout").write("\n".join(map(one_line, announcement(path.name, ready))) + "\n")

        trio.run(partial(server.serve, settings, on_ready=announce, progress=progress))


def announcement(name: str, ready: Ready) -> list[str]:
    """The lines that `serve` prints when it is ready for requests. The first line has the URL."""
    return [
        f"oxillama serves {name} at {ready.url}",
        f"  chat page  {ready.url}/" if ready.has_ui else "  chat page  off",
        f"  base_url   {ready.base_url}",
        f"  model      {ready.model_id}",
        f"  data       {ready.data_dir or 'none: there is no Assistants API'}",
        f"  API keys   {'required' if ready.has_keys else 'none: anyone who can reach this address can use it'}",
    ]


@contextmanager
def failures_logged(log_format: Literal["text", "json"]) -> Iterator[None]:
    """Log an error that ends the server as JSON if the log is JSON, and exit with its status."""
    try:
        yield
    except Exception as error:
        if log_format != "json":
            raise
        from oxillama.server.config import ServerConfig
        from oxillama.server.observe.log import make_logger

        log, status = make_logger(ServerConfig(log_format=log_format)), status_of(error)
        if status is None:
            log.critical("failed", exc_info=error)
        else:
            log.error("failed", error=one_line(describe(next(leaves(error)))))
        raise typer.Exit(EXIT_FAILED if status is None else status) from None
