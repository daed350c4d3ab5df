"""oxillama imatrix: which columns of a model's matrices matter, so that quantize spares them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oxillama.cli import options


def imatrix(
    file: Annotated[Path, typer.Option("--file", "-f", metavar="TEXT", help="A text of the kind the model is for.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The importance matrix to write.")],
    model: options.Model = None,
    ctx: Annotated[int, typer.Option("--ctx", "-c", min=4, help="Tokens in a chunk.")] = 512,
    chunks: Annotated[int | None, typer.Option(min=1, show_default="all", help="How many chunks to read.")] = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Read a text in chunks and write how large each column of every matrix's input was, for quantize --imatrix."""
    path = options.require_model(model)

    from oxillama.cli.output import print_json
    from oxillama.cli.progress import load_progress, steps_progress
    from oxillama.quant.chunks import open_for_chunks, read_chunks
    from oxillama.quant.importance import write_importance
    from oxillama.quant.observe import observe

    text = file.read_bytes().decode("utf-8", "replace")
    with load_progress(path) as progress:
        loaded, tokenizer = open_for_chunks(path, ctx, threads, progress)
    try:
        pieces = read_chunks(tokenizer, text, ctx, chunks)
        with steps_progress("chunks", len(pieces)) as advance:
            sums, counts = observe(loaded.runner, pieces, advance)
    finally:
        loaded.close()
    write_importance(out, sums, counts, dataset=file.name, n_chunks=len(pieces), chunk_size=ctx)
    unseen = sum(int((seen == 0).sum()) for seen in counts.values() if len(seen) > 1)
    if json:
        print_json(
            {
                "file": str(out),
                "matrices": len(sums),
                "chunks": len(pieces),
                "tokens": len(pieces) * ctx,
                "unseen_experts": unseen,
            }
        )
        return
    print(f"{out.name}: {len(sums)} matrices, {len(pieces)} chunks of {ctx} tokens")
    if unseen:
        print(f"{unseen} times an expert saw no token: a longer text would know more of them")
