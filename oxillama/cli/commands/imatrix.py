"""oxillama imatrix: measures which columns of a model's matrices matter most, so that quantize keeps them precise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.chunked import Chunks, ChunkSize, TextFile, chunks_of


def imatrix(
    file: TextFile,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=options.given_path, metavar="FILE", help="The importance matrix to write."
        ),
    ],
    model: options.Model = None,
    ctx: ChunkSize = 512,
    chunks: Chunks = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Write an importance matrix for quantize --imatrix.

    Reads a text in chunks and records how large each column of every matrix's input was. The text should be of the kind
    that the model is for.
    """
    from oxillama.cli.shared.guard import naming, one_line
    from oxillama.cli.shared.output import check_output, print_json

    check_output("--out", out, model, file)
    path = options.require_model(model)

    from oxillama.cli.shared.terminal.progress import steps_progress
    from oxillama.quant.importance import write_importance
    from oxillama.quant.observe import observe

    with (
        chunks_of(file, path, ctx=ctx, most=chunks, threads=threads) as (runner, pieces),
        steps_progress("chunks", len(pieces)) as advance,
    ):
        sums, counts = observe(runner, pieces, advance)
    with naming(out):
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
    print(f"{one_line(out.name)}: {len(sums)} matrices, {len(pieces)} chunks of {ctx} tokens")
    if unseen:
        print(f"{unseen} times an expert got no token; a longer text would reach more experts")
