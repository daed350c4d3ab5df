"""oxillama perplexity: how well a model predicts a text, to see what quantising cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oxillama.cli import options

TextFile = Annotated[Path, typer.Option("--file", "-f", metavar="TEXT", help="The text, UTF-8.")]
ChunkSize = Annotated[int, typer.Option("--ctx", "-c", min=4, help="Tokens in a chunk.")]
Chunks = Annotated[int | None, typer.Option(min=1, show_default="all", help="How many chunks to read.")]


def perplexity(
    file: TextFile,
    model: options.Model = None,
    ctx: ChunkSize = 512,
    chunks: Chunks = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Read a text in chunks and score the second half of each: the lower, the better the model predicts it."""
    path = options.require_model(model)

    from oxillama.cli.output import print_json
    from oxillama.cli.progress import load_progress
    from oxillama.quant.chunks import open_for_chunks, read_chunks
    from oxillama.quant.perplexity import Estimate, measure

    text = file.read_bytes().decode("utf-8", "replace")
    with load_progress(path) as progress:
        loaded, tokenizer = open_for_chunks(path, ctx, threads, progress)
    try:
        pieces = read_chunks(tokenizer, text, ctx, chunks)
        estimate = Estimate()
        for estimate in measure(loaded.runner, pieces):
            if not json:
                print(f"[{estimate.chunks}/{len(pieces)}] {estimate.perplexity:.4f}", flush=True)
    finally:
        loaded.close()
    if json:
        print_json(
            {
                "model": str(path),
                "file": str(file),
                "perplexity": estimate.perplexity,
                "standard_error": estimate.standard_error,
                "tokens": estimate.tokens,
                "chunks": estimate.chunks,
                "ctx": ctx,
            }
        )
        return
    print(f"perplexity {estimate.perplexity:.4f} +/- {estimate.standard_error:.4f}, {estimate.tokens} tokens")
