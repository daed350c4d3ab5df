"""oxillama embed: prints the vectors of texts as JSON lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.guard import usage_error
from oxillama.cli.shared.prompt import argument_text, read_text


def embed(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]...", help="The texts; without any, the lines of standard input.", show_default=False
        ),
    ] = None,
    model: options.Model = None,
    pooling: Annotated[
        Literal["mean", "cls", "last", "rank"] | None,
        typer.Option(
            metavar="KIND",
            show_default="as the file says",
            help="How a text becomes a vector: mean, cls or last; or rank, for scores.",
        ),
    ] = None,
    dimensions: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Keep the first N columns only.", show_default="all")
    ] = None,
    threads: options.Threads = None,
    ctx_size: options.CtxSize = None,
) -> None:
    """Turn texts into vectors of length 1, one JSON line each.

    With a model that scores texts, each line has the scores.
    """
    path = options.require_model(model)
    given = [argument_text(text) for text in texts or ()] or read_text(Path("-")).splitlines()
    if not given:
        usage_error("there is no text: name one, or write lines to standard input")

    import msgspec

    from oxillama import Model
    from oxillama.cli.shared.terminal.progress import load_progress
    from oxillama.engine.requests.embedding import check_embeds

    with (
        load_progress(path) as progress,
        Model(path, n_threads=threads, n_ctx=ctx_size, pooling=pooling, progress=progress) as opened,
    ):
        if opened.embedder.pooling == "none":
            check_embeds(opened.embedder, path.name)
        rows = opened.embed(given, dimensions=dimensions)
        name = "scores" if opened.embedder.pooling == "rank" else "embedding"
        for text, row in zip(given, rows, strict=True):
            sys.stdout.write(msgspec.json.encode({"text": text, name: row.tolist()}).decode() + "\n")
