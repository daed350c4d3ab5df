"""Shared by the commands that read a text in chunks: their options, and loading the model and the text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oxillama.cli.shared.options import given_path
from oxillama.cli.shared.prompt import read_text
from oxillama.cli.shared.terminal.progress import load_progress

if TYPE_CHECKING:
    from oxillama.core._core import Runner
    from oxillama.quant.chunks import Tokens

TextFile = Annotated[
    Path,
    typer.Option(
        "--file", "-f", parser=given_path, metavar="TEXT", help="The text to read, UTF-8; - is standard input."
    ),
]
ChunkSize = Annotated[int, typer.Option("--ctx", "-c", metavar="N", min=4, max=2**31 - 1, help="Tokens in a chunk.")]
Chunks = Annotated[int | None, typer.Option(metavar="N", min=1, show_default="all", help="How many chunks to read.")]


@contextmanager
def chunks_of(
    file: Path,
    model: Path,
    *,
    ctx: int,
    most: int | None,
    threads: int | None,
    kv_type: str = "auto",
    predicts: bool = False,
) -> Iterator[tuple[Runner, list[Tokens]]]:
    """Load the model, and split the text into at most `most` chunks of `ctx` tokens. Closes the model afterwards.

    predicts: the model must predict tokens.
    """
    from oxillama.quant.chunks import open_for_chunks, read_chunks

    text = read_text(file)
    with load_progress(model) as progress:
        loaded, tokenizer = open_for_chunks(model, ctx, threads, progress, kv_type=kv_type)
    try:
        if predicts:
            loaded.require_logits()
        yield loaded.runner, read_chunks(tokenizer, text, ctx, most)
    finally:
        loaded.close()
