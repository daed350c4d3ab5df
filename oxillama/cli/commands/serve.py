"""oxillama serve: the OpenAI API over HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from oxillama.cli.shared import options


@options.with_groups
def serve(
    model: options.Model = None,
    alias: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the API calls the model.", show_default="the file's name")
    ] = None,
    any_model: Annotated[
        bool | None, typer.Option("--any-model", help="Take any model name in requests.", show_default=False)
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", help="Port to listen on; 0 takes a free one.", show_default="8000")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where threads, messages and runs are kept.", show_default=False)
    ] = None,
    api_key: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="A key that opens the API; may be given more than once.", show_default=False),
    ] = None,
    threads: options.Threads = None,
    ctx_size: options.CtxSize = None,
    kv_type: Annotated[
        Literal["auto", "f32", "f16", "i16", "q8_0"] | None,
        typer.Option(metavar="TYPE", help="Type of the KV cache: auto, f32, f16, i16 or q8_0.", show_default="auto"),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=1024, help="Requests that run at once.", show_default="8")
    ] = None,
    *,
    sampling: options.SamplerOptions,
    ui: Annotated[
        bool | None,
        typer.Option("--ui/--no-ui", help="Serve the pages for browsers: the chat and /docs.", show_default="--ui"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings in TOML.", show_default="oxillama.toml, if it is there"),
    ] = None,
) -> None:
    """Serve a model behind the OpenAI API.

    Prints one line with the URL when ready; SIGTERM finishes what runs. Settings come from the configuration file,
    then OXILLAMA_* variables, then these options.
    """
    from msgspec.structs import replace

    from oxillama.server.config import load_config

    settings = load_config(
        config,
        model=model,
        alias=alias,
        any_model=any_model,
        host=host,
        port=port,
        data_dir=data_dir,
        api_keys=api_key or None,
        threads=threads,
        ctx_size=ctx_size,
        kv_type=kv_type,
        parallel=parallel,
        ui=ui,
        **sampling.given(),
    )
    path = options.model_or_embedded(Path(settings.model) if settings.model else None, "serve")
    settings = replace(settings, model=str(path))

    import trio

    from oxillama import server
    from oxillama.cli.shared.terminal.progress import load_progress

    with ExitStack() as loading:
        progress = loading.enter_context(load_progress(path))

        def announce(url: str) -> None:
            """Print the one line that scripts wait for, once the bar is gone."""
            loading.close()
            print(f"oxillama serves {path.name} at {url}", flush=True)

        trio.run(partial(server.serve, settings, on_ready=announce, progress=progress))
